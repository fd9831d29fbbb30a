"""Loading the images that a user names: from a folder, an archive, the carried sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch

from search_space import checks
from search_space.errors import InputError
from senet_nas.data.cache import cache_file, default_cache, read_cache, write_cache
from senet_nas.data.cifar10 import download_cifar10
from senet_nas.data.decode import decode_all, warn_of_damage
from senet_nas.data.image_set import ImageSet
from senet_nas.data.layout import SPLITS, layout_of
from senet_nas.data.sample import SAMPLE
from senet_nas.data.sources import Source, open_source

Split = Literal["train", "test"]


def load_images(
    data: str | Path | None, split: Split, image_size: int | None = None, cache: Path | None = None
) -> ImageSet:
    """The images of one split, sorted by class and path; no others are read.

    data: a folder, a tar archive, `cifar10` to download it, or None for the carried sample of
    CIFAR-10. image_size: side in pixels to which each is resized and cropped; None keeps the size
    that all share. cache: folder for decoded sets, by default in the user's XDG cache; a folder
    is recognised by its files' paths, sizes and times of change, an archive by its SHA-256.
    Damaged images are skipped with one warning, up to 10 or 1%. Raises `InputError` beyond that,
    and for whatever else is wrong with the data.
    """
    checks.choice("split", split, SPLITS)
    if image_size is not None:
        checks.integer("image_size", image_size, least=1)
    cache = default_cache() if cache is None else cache
    if data == "cifar10" and not Path(data).exists():
        images = download_cifar10(split, cache / "cifar10")
        if image_size not in (None, images.image_size):
            raise InputError(f"image_size of cifar10 must be 32, not {image_size}")
        return images
    source = open_source(SAMPLE if data is None else data)
    kept = cache_file(cache, source.fingerprint(), split, image_size)
    images_or_none = read_cache(kept)
    if images_or_none is None:
        images = _read(source, split, image_size)
        write_cache(kept, images)
    else:
        images = images_or_none
    warn_of_damage(images.skipped, len(images) + len(images.skipped))
    return images


def splits_of(data: str | Path | None) -> tuple[str, ...]:
    """Which of `train` and `test` the data holds, told from names alone: no image is read.

    Raises `InputError` as `load_images` does for what the names show.
    """
    if data == "cifar10" and not Path(data).exists():
        return SPLITS
    source = open_source(SAMPLE if data is None else data)
    layout = layout_of(str(source.path), source.paths())
    return tuple(split for split in SPLITS if getattr(layout, split))


def _read(source: Source, split: Split, image_size: int | None) -> ImageSet:
    name = str(source.path)
    layout = layout_of(name, source.paths())
    entries = layout.train if split == "train" else layout.test
    if not entries:
        raise InputError(f"{name}: holds no {split} images")
    names = [path for path, _ in entries]
    index_of = {path: index for index, path in enumerate(names)}

    def contents() -> Iterator[tuple[int, bytes | str]]:
        for path, content in source.contents(names):
            yield index_of[path], content

    pixels, indices, skipped = decode_all(name, contents(), names, image_size)
    label_of = {class_name: label for label, class_name in enumerate(layout.classes)}
    labels = torch.tensor([label_of[class_name] for _, class_name in entries])
    return ImageSet(pixels.permute(0, 3, 1, 2), labels[indices], layout.classes, skipped)
