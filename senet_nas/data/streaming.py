"""Batches of images that don't lie in memory: read, decoded and augmented one by one in worker
processes, normalised on the device that trains."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from search_space.errors import InputError
from senet_nas.data.augment import blank_squares, normalise
from senet_nas.data.augmentation import Augmentation
from senet_nas.data.batches import Batch
from senet_nas.data.chance import Chance
from senet_nas.data.decode import check_damage
from senet_nas.data.erasing import erase
from senet_nas.data.image_set import RGB
from senet_nas.data.loading import CHUNK, Loaded, Loader, Numbers, Request
from senet_nas.data.order import (
    Seeds,
    batch_slices,
    epoch_generator,
    epoch_order,
    image_seeds,
    rank_share,
)
from senet_nas.data.records import Records

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where batches go: the normalisation, of each channel from 0 to 1, the device, the dtype."""

    mean: RGB
    std: RGB
    device: torch.device
    dtype: torch.dtype

    def normalised(self, pixels: Sequence[Tensor]) -> Tensor:
        """One batch (B, 3, H, W) of chunks of uint8 (N, H, W, 3)."""
        moved = [self.moved(chunk) for chunk in pixels]
        whole = moved[0] if len(moved) == 1 else torch.cat(moved)
        mean, std = (self.moved(torch.tensor(of)) for of in (self.mean, self.std))
        return normalise(whole, mean, std, self.dtype)

    def moved(self, tensor: Tensor) -> Tensor:
        """A tensor on the device; the CPU doesn't wait for a GPU to take it."""
        if self.device.type == "cuda" and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


@dataclass(frozen=True, slots=True, eq=False)
class Damage:
    """The images that couldn't be read: named when they are met first, and counted.

    count: images of all ranks. share: those that this rank reads in an epoch; in the next it meets
    others. So many of what it has met may be damaged as `check_damage` says.
    """

    records: Records
    count: int
    share: int
    found: dict[int, str] = field(default_factory=dict)
    epochs: set[int] = field(default_factory=set)

    def begin(self, epoch: int) -> None:
        """Take note of an epoch that this rank begins."""
        self.epochs.add(epoch)

    def add(self, reasons: dict[int, str]) -> None:
        """Take note of images by number. Raises `InputError` where it are too many."""
        for number, reason in reasons.items():
            if number not in self.found:
                self.found[number] = f"{self.records.name(number)} ({reason})"
                _log.warning("an image could not be read: %s", self.found[number])
        met = min(self.count, self.share * max(1, len(self.epochs)))
        check_damage(self.records.where, self.names, met)

    @property
    def names(self) -> tuple[str, ...]:
        """Each with the reason."""
        return tuple(self.found[number] for number in sorted(self.found))


@dataclass(frozen=True, slots=True, eq=False)
class StreamedBatches:
    """`Batches` of some of the images of `records`. numbers: which, int64. batch_size: of one rank.
    For the rest see `training_batches`."""

    records: Records
    numbers: Numbers
    loader: Loader
    image_size: int
    augmentation: Augmentation
    batch_size: int
    target: Target
    damage: Damage
    rank: int = 0
    world: int = 1
    repeats: int = 1

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Batches`."""
        return self.records.classes

    @property
    def mean(self) -> RGB:
        """See `Batches`."""
        return self.target.mean

    @property
    def std(self) -> RGB:
        """See `Batches`."""
        return self.target.std

    @property
    def count(self) -> int:
        """See `Batches`: with those that turn out to be damaged."""
        return len(self.numbers)

    @property
    def skipped(self) -> tuple[str, ...]:
        """See `Batches`."""
        return self.damage.names

    def steps(self) -> int:
        """See `Batches`."""
        return len(self._parts())

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """See `Batches`."""
        self.damage.begin(epoch)
        order = epoch_order(self.count, self.repeats, epoch_generator(seed, epoch)).numpy()
        again = np.arange(self.count) % self.repeats  # each repeat is drawn for anew
        seeds = image_seeds(seed, epoch, order + again * self.count)
        parts = self._parts()[start:]
        shares = [rank_share(part, self.rank, self.world) for part in parts]
        numbers = self.numbers[order]
        loaded = batches_of(
            self.loader, self.damage, [Request(numbers[of], seeds[of]) for of in shares]
        )
        for part, share, (pixels, kept) in zip(parts, shares, loaded, strict=True):
            images = self.target.normalised(pixels)
            self._blank(images, seeds[share][kept])
            labels = torch.from_numpy(self.records.labels[numbers[share][kept]])
            weight = (share.stop - share.start) * self.world / (part.stop - part.start)
            yield Batch(images, self.target.moved(labels), weight)

    def _blank(self, images: Tensor, seeds: Seeds) -> None:
        """What is done to normalised images."""
        settings = self.augmentation
        if not settings.cutout and not settings.erase_probability:
            return
        chance = Chance.of(settings, seeds)
        if settings.cutout:
            centres = torch.from_numpy(chance.centres(self.image_size)).to(images.device)
            blank_squares(images, centres, settings.cutout)
        if settings.erase_probability:
            boxes = chance.erased(self.image_size, self.image_size)
            erase(images, boxes, seeds, settings.erase_mode)

    def _parts(self) -> list[slice]:
        return batch_slices(self.count, self.batch_size * self.world)


@dataclass(frozen=True, slots=True, eq=False)
class StreamedTestBatches:
    """`TestBatches` of all images of `records`."""

    records: Records
    loader: Loader
    image_size: int
    batch_size: int
    target: Target
    damage: Damage
    rank: int = 0
    world: int = 1

    @property
    def classes(self) -> tuple[str, ...]:
        """See `TestBatches`."""
        return self.records.classes

    @property
    def count(self) -> int:
        """See `TestBatches`: with those that turn out to be damaged."""
        return len(self.records.labels)

    @property
    def skipped(self) -> tuple[str, ...]:
        """See `TestBatches`."""
        return self.damage.names

    def __iter__(self) -> Iterator[Batch]:
        share = rank_share(slice(0, self.count), self.rank, self.world)
        starts = range(share.start, share.stop, self.batch_size)
        parts = [np.arange(at, min(at + self.batch_size, share.stop)) for at in starts]
        requests = [Request(part, part.astype(np.uint64)) for part in parts]
        loaded = batches_of(self.loader, self.damage, requests)
        for part, (pixels, kept) in zip(parts, loaded, strict=True):
            labels = torch.from_numpy(self.records.labels[part[kept]])
            yield Batch(self.target.normalised(pixels), self.target.moved(labels))


def batches_of(
    loader: Loader, damage: Damage, requests: Sequence[Request]
) -> Iterator[tuple[list[Tensor], Numbers]]:
    """The pixels of each request, in chunks, and the positions in it of those that could be read.

    Raises `InputError` where too many can't be, or all of a batch.
    """
    chunks = [
        [Request(numbers[at : at + CHUNK], seeds[at : at + CHUNK]) for at in starts]
        for numbers, seeds in requests
        for starts in [range(0, len(numbers), CHUNK)]
    ]
    loaded = loader.load([chunk for of_one in chunks for chunk in of_one])
    for of_one in chunks:
        pixels: list[Tensor] = []
        kept: list[Numbers] = []
        for number, chunk in enumerate(of_one):
            found: Loaded = next(loaded)
            damage.add({int(chunk.numbers[at]): why for at, why in found.reasons.items()})
            pixels.append(found.pixels)
            kept.append(found.kept.numpy() + number * CHUNK)
        if not any(len(chunk) for chunk in pixels):
            raise InputError(
                f"{damage.records.where}: no image of a batch could be read: "
                f"{', '.join(damage.names[:20])}"
            )
        yield pixels, np.concatenate(kept)
