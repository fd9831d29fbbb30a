"""Loading the images that a user names into memory: from a folder, an archive, the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from search_space import checks
from search_space.errors import InputError
from senet_nas.data.cache import cache_file, read_cache, write_cache
from senet_nas.data.cifar10 import download_cifar10
from senet_nas.data.containers import open_data
from senet_nas.data.decode import decode_all, warn_of_damage
from senet_nas.data.image_set import ImageSet
from senet_nas.data.layout import SPLITS
from senet_nas.data.records import Opened, Records, records_of
from senet_nas.data.sample import SAMPLE
from senet_nas.nn.user_cache import default_cache

Split = Literal["train", "test"]

DOWNLOADED = "cifar10"


def load_images(
    data: str | Path | None,
    split: Split,
    image_size: int | None = None,
    cache: Path | None = None,
    crop_percent: float = 1.0,
    interpolation: str = "bilinear",
) -> ImageSet:
    """The images of one split, sorted by class and path; no others are read.

    data: a folder, a tar archive, shards (see `senet_nas.data.containers`), `cifar10` to download
    it, or None for the carried sample of CIFAR-10. image_size: side in pixels to which each is
    resized and cropped as `centred` says; None keeps the size that all share. cache: folder for
    decoded sets, by default in the user's XDG cache; a folder is recognised by its files' paths,
    sizes and times of change, an archive by its SHA-256. Damaged images are skipped with one
    warning, up to 10 or 1%. Raises `InputError` beyond that, and for whatever else is wrong with
    the data.
    """
    checks.choice("split", split, SPLITS)
    if image_size is not None:
        checks.integer("image_size", image_size, least=1)
    cache = default_cache() if cache is None else cache
    if is_downloaded(data):
        images = download_cifar10(split, cache / "cifar10")
        if image_size not in (None, images.image_size):
            raise InputError(f"image_size of cifar10 must be 32, not {image_size}")
        return images
    opened = open_images(data)
    kept = cache_file(
        cache, opened.fingerprint(), split, image_size, f"{crop_percent} {interpolation}"
    )
    images_or_none = read_cache(kept)
    if images_or_none is None:
        images = _read(records_of(opened, split), image_size, crop_percent, interpolation)
        write_cache(kept, images)
    else:
        images = images_or_none
    warn_of_damage(images.skipped, len(images) + len(images.skipped))
    return images


def splits_of(data: str | Path | None) -> tuple[str, ...]:
    """Which of `train` and `test` the data holds, told from names and labels: no image is read.

    Raises `InputError` as `load_images` does for what these show.
    """
    return SPLITS if is_downloaded(data) else open_images(data).splits


def open_images(data: str | Path | None) -> Opened:
    """The set that a user names, None for the carried sample. Raises `InputError`."""
    return open_data(SAMPLE if data is None else data)


def is_downloaded(data: str | Path | None) -> bool:
    """Whether data names CIFAR-10 at its source, and no folder of that name."""
    return data == DOWNLOADED and not Path(data).exists()


def _read(
    records: Records, image_size: int | None, crop_percent: float, interpolation: str
) -> ImageSet:
    names = [records.name(number) for number in range(len(records.labels))]
    pixels, indices, skipped = decode_all(
        records.where, records.read_all(), names, image_size, crop_percent, interpolation
    )
    labels = torch.from_numpy(records.labels)[indices]
    return ImageSet(pixels.permute(0, 3, 1, 2), labels, records.classes, skipped)
