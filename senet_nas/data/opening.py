"""Opening the images that a user names as batches: in memory where they are small and few, else
streamed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from search_space import checks
from search_space.errors import InputError
from senet_nas.data.augmentation import Augmentation
from senet_nas.data.batches import Batches, TestBatches
from senet_nas.data.copies import copied
from senet_nas.data.image_set import RGB
from senet_nas.data.jpeg import DAMAGE, size_of
from senet_nas.data.load import Split, is_downloaded, load_images, open_images
from senet_nas.data.loading import Loader, default_workers
from senet_nas.data.memory import MemoryBatches, MemoryTestBatches
from senet_nas.data.moments import sampled_moments
from senet_nas.data.pixel_records import PixelRecords
from senet_nas.data.records import Opened, Records, records_of
from senet_nas.data.room import memory_bytes
from senet_nas.data.splits import training_subset
from senet_nas.data.streaming import Damage, StreamedBatches, StreamedTestBatches, Target
from senet_nas.data.views import TestView, TrainingView, View
from senet_nas.nn.user_cache import default_cache

HOLDS = ("auto", "memory", "stream")
LARGEST_HELD = 96  # pixels a side of images that are held in memory where nobody says otherwise
_LOOKED_AT = 16  # images whose sizes tell whether all share one


@dataclass(frozen=True, slots=True)
class Reading:
    """How images are held and read. None of it changes what a network is trained on, but `copies`.

    hold: `memory`, `stream`, or `auto`, which is `memory` where images are of 96 pixels a side at
    most and all of them fit into half of this machine's memory (and half of what is free on a GPU),
    where the augmentation can be done to batches, and, where crops are resized, where images are
    of the size asked for: else parts of them would be lost before. workers: processes of each rank
    that decode, 0 for none; None for a share of the cores. copies: shorter side in pixels of
    smaller copies, made once in the cache and read in the images' place. cache: a folder in place
    of the user's.
    """

    hold: str = "auto"
    workers: int | None = None
    copies: int | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        checks.choice("hold", self.hold, HOLDS)
        if self.workers is not None:
            checks.integer("workers", self.workers, least=0)
        if self.copies is not None:
            checks.integer("copies", self.copies, least=1)

    @property
    def cache_folder(self) -> Path:
        """Where decoded sets and copies are kept."""
        return default_cache() if self.cache is None else self.cache


def training_batches(
    data: str | Path | None,
    *,
    augmentation: Augmentation,
    batch_size: int,
    image_size: int | None,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    rank: int = 0,
    world: int = 1,
    mean: RGB | None = None,
    std: RGB | None = None,
    fraction: float = 1.0,
    repeats: int = 1,
    seed: int = 0,
    reading: Reading = Reading(),
) -> Batches:
    """The training images as batches of at most `batch_size` for one of `world` ranks.

    data: see `load_images`. image_size: side in pixels; None for the size that all images share.
    mean, std: of each channel, 0 to 1; by default the images' own (of streamed ones: of 512).
    fraction: of the images, drawn by `seed`. repeats: of an image in an epoch (`epoch_order`).
    Raises `InputError` for what is wrong with the data, and where an augmentation isn't done to
    images in memory that are to be there.
    """
    source = _source(data, "train")
    if _is_held(source, image_size, device, reading, augmentation):
        images = load_images(data, "train", image_size, reading.cache)
        if fraction < 1:
            images = images.subset(training_subset(images.labels, fraction, seed))
        return MemoryBatches(
            images.to(device),
            augmentation,
            batch_size,
            mean or images.mean(),
            std or images.std(),
            dtype,
            rank,
            world,
            repeats,
        )
    records, size = _streamed(source, image_size, reading)
    if mean is None or std is None:
        own = sampled_moments(records, size)
        mean, std = mean or own[0], std or own[1]
    numbers = np.arange(len(records.labels))
    if fraction < 1:
        numbers = training_subset(torch.from_numpy(records.labels), fraction, seed).numpy()
    view = TrainingView(augmentation, size, mean)
    return StreamedBatches(
        records,
        numbers,
        _loader(records, view, reading, device, world),
        size,
        augmentation,
        batch_size,
        Target(mean, std, device, dtype),
        Damage(records, len(numbers), len(numbers) // world),
        rank,
        world,
        repeats,
    )


def test_batches(
    data: str | Path | None,
    split: Split = "test",
    *,
    image_size: int | None,
    crop_percent: float = 1.0,
    interpolation: str = "bilinear",
    batch_size: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    rank: int = 0,
    world: int = 1,
    mean: RGB,
    std: RGB,
    reading: Reading = Reading(),
) -> TestBatches:
    """The images of a split as they are evaluated, each as `centred` says, for one of the ranks.

    Smaller copies aren't read here: what is measured is measured on the images themselves. For the
    rest see `training_batches`.
    """
    source = _source(data, split)
    if _is_held(source, image_size, device, reading, None):
        images = load_images(data, split, image_size, reading.cache, crop_percent, interpolation)
        return MemoryTestBatches(images, batch_size, mean, std, device, dtype, rank, world)
    whole = Reading(reading.hold, reading.workers, None, reading.cache)
    records, size = _streamed(source, image_size, whole)
    view = TestView(size, crop_percent, interpolation)
    return StreamedTestBatches(
        records,
        _loader(records, view, reading, device, world),
        size,
        batch_size,
        Target(mean, std, device, dtype),
        Damage(records, len(records.labels), len(records.labels) // world),
        rank,
        world,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A split as it is found; opened: nothing where images are downloaded."""

    data: str | Path | None
    split: Split
    opened: Opened | None
    records: Records | None


def _source(data: str | Path | None, split: Split) -> _Source:
    if is_downloaded(data):
        return _Source(data, split, None, None)
    opened = open_images(data)
    return _Source(data, split, opened, records_of(opened, split))


def _is_held(
    source: _Source,
    image_size: int | None,
    device: torch.device,
    reading: Reading,
    augmentation: Augmentation | None,
) -> bool:
    """Whether images are to be in memory: see `Reading`."""
    if reading.hold != "auto":
        return reading.hold == "memory"
    if augmentation is not None and not augmentation.is_batched:
        return False
    records = source.records
    if records is None:
        return True
    own = _shared_size(records)
    size = image_size or own
    if size is None or size > LARGEST_HELD or reading.copies is not None:
        return False
    if augmentation is not None and augmentation.crop == "resized" and size != own:
        return False
    needed = len(records.labels) * 3 * size * size
    room = memory_bytes()
    if device.type == "cuda" and augmentation is not None:
        room = min(room, torch.cuda.mem_get_info(device)[0])
    return needed <= room // 2


def _streamed(source: _Source, image_size: int | None, reading: Reading) -> tuple[Records, int]:
    """Images that can be read in any order, and the side in pixels that they are to have."""
    opened, records = source.opened, source.records
    if opened is None or records is None:
        images = load_images(source.data, source.split, image_size, reading.cache)
        return PixelRecords(str(source.data), images), images.image_size
    size = image_size or _shared_size(records)
    if size is None:
        raise InputError(f"{opened.where}: images are of several sizes: give an image size")
    if reading.copies is not None or not records.is_random:
        fingerprint, cache = opened.fingerprint(), reading.cache_folder
        return copied(records, fingerprint, source.split, cache, reading.copies), size
    return records, size


def _shared_size(records: Records) -> int | None:
    """The side in pixels of square images that all, as far as is looked, are of one size."""
    count = len(records.labels)
    wanted = min(count, _LOOKED_AT)
    if records.is_random:
        contents = [records.read(number * count // wanted) for number in range(wanted)]
    else:
        contents = [content for _, content in islice(records.read_all(), wanted)]
    sizes = set()
    for content in contents:
        if isinstance(content, bytes):
            try:
                sizes.add(size_of(content))
            except DAMAGE:
                continue  # found again, and named, when it is read
    sides = {side for size in sizes for side in size}
    return sides.pop() if len(sides) == 1 else None


def _loader(
    records: Records, view: View, reading: Reading, device: torch.device, world: int
) -> Loader:
    workers = default_workers(device, world) if reading.workers is None else reading.workers
    return Loader(records, view, workers, device)
