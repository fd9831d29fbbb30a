"""Batches of images that lie in memory: one tensor, on the device that trains.

One gather makes a batch where crops are padded; where they are resized, two products of matrices.
What can't be done to whole batches is done by worker processes (`streaming.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from search_space.errors import InputError
from senet_nas.data.augment import augment, blank_squares, draw, normalise
from senet_nas.data.augmentation import Augmentation
from senet_nas.data.batch_resize import resized_parts
from senet_nas.data.batches import Batch
from senet_nas.data.chance import Chance
from senet_nas.data.erasing import erase
from senet_nas.data.image_set import RGB, ImageSet
from senet_nas.data.order import (
    Seeds,
    batch_slices,
    epoch_generator,
    epoch_order,
    image_seeds,
    rank_share,
)


@dataclass(frozen=True, slots=True, eq=False)
class _OfSet:
    """What batches tell of the set that they are of."""

    images: ImageSet

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Batches`."""
        return self.images.classes

    @property
    def image_size(self) -> int:
        """See `Batches`."""
        return self.images.image_size

    @property
    def count(self) -> int:
        """See `Batches`."""
        return len(self.images)

    @property
    def skipped(self) -> tuple[str, ...]:
        """See `Batches`: all are known from the start."""
        return self.images.skipped


@dataclass(frozen=True, slots=True, eq=False)
class MemoryBatches(_OfSet):
    """`Batches` of a set in memory. images: on the device that trains, of one size. batch_size: of
    one rank. For the rest see `training_batches`. Every rank draws for all images, and takes its
    own: what is drawn doesn't depend on how many there are.

    Raises `InputError` for an augmentation that isn't done in batches.
    """

    augmentation: Augmentation
    batch_size: int
    mean: RGB
    std: RGB
    dtype: torch.dtype = torch.float32
    rank: int = 0
    world: int = 1
    repeats: int = 1

    def __post_init__(self) -> None:
        if not self.augmentation.is_batched:
            raise InputError("auto_augment and color_jitter aren't done to images in memory")

    def steps(self) -> int:
        """See `Batches`."""
        return len(self._parts())

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """See `Batches`."""
        pixels, device = self.images.pixels, self.images.images.device
        generator, count = epoch_generator(seed, epoch), self.count
        order = epoch_order(count, self.repeats, generator)
        height, width = pixels.shape[1:3]
        draws = draw(self.augmentation, count, height, width, generator).to(device)
        seeds = image_seeds(seed, epoch, np.arange(count))
        on_device = order.to(device)
        mean, std = (torch.tensor(value, device=device) for value in (self.mean, self.std))
        for part in self._parts()[start:]:
            share = rank_share(part, self.rank, self.world)
            chosen, drawn = on_device[share], draws[share]
            if self.augmentation.crop == "padded":
                images = augment(pixels, chosen, drawn, self.augmentation, mean, std, self.dtype)
            else:
                parts = self._resized(pixels[chosen], drawn.flips, seeds[share])
                images = normalise(parts, mean, std, self.dtype)
                if self.augmentation.cutout:
                    blank_squares(images, drawn.centres, self.augmentation.cutout)
            if self.augmentation.erase_probability:
                boxes = Chance.of(self.augmentation, seeds[share]).erased(*images.shape[2:])
                erase(images, boxes, seeds[share], self.augmentation.erase_mode)
            weight = (share.stop - share.start) * self.world / (part.stop - part.start)
            yield Batch(images, self.images.labels[chosen], weight)

    def _parts(self) -> list[slice]:
        return batch_slices(self.count, self.batch_size * self.world)

    def _resized(self, pixels: Tensor, flips: Tensor, seeds: Seeds) -> Tensor:
        """Resized crops uint8 (B, size, size, 3) of whole images (B, H, W, 3)."""
        count, height, width, _ = pixels.shape
        size, device = self.image_size, pixels.device
        chance = Chance.of(self.augmentation, seeds)
        boxes = torch.from_numpy(chance.boxes(np.full(count, height), np.full(count, width)))
        boxes, which = boxes.to(device), torch.from_numpy(chance.interpolations()).to(device)
        resized = torch.empty((count, size, size, 3), dtype=torch.uint8, device=device)
        for number, name in enumerate(self.augmentation.interpolations):
            of = (which == number).nonzero()[:, 0]
            resized[of] = resized_parts(pixels[of], boxes[of], flips[of], size, name)
        return resized


@dataclass(frozen=True, slots=True, eq=False)
class MemoryTestBatches(_OfSet):
    """`TestBatches` of a set in memory, each as large as the network takes them."""

    batch_size: int
    mean: RGB
    std: RGB
    device: torch.device
    dtype: torch.dtype = torch.float32
    rank: int = 0
    world: int = 1

    def __iter__(self) -> Iterator[Batch]:
        device = self.device
        mean, std = (torch.tensor(value, device=device) for value in (self.mean, self.std))
        share = rank_share(slice(0, self.count), self.rank, self.world)
        for start in range(share.start, share.stop, self.batch_size):
            part = slice(start, min(start + self.batch_size, share.stop))
            images = normalise(self.images.pixels[part].to(device), mean, std, self.dtype)
            yield Batch(images, self.images.labels[part].to(device))
