"""The images of a training: which, how large, and as whose share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from senet_nas.data import (
    Batches,
    MemoryBatches,
    MemoryTestBatches,
    TestBatches,
    load_images,
    training_subset,
)
from senet_nas.training.group import Group
from senet_nas.training.precision import resolve_precision
from senet_nas.training.recipe import Recipe
from senet_nas.training.start import Start

TEST_BATCH = 500


@dataclass(frozen=True, slots=True)
class Images:
    """data: see `load_images`. image_size: side in pixels, the recipe's or the images' own where it
    isn't given. cache: folder for decoded sets. fraction: of the training images, by the seed."""

    data: str | Path | None
    image_size: int | None = None
    cache: Path | None = None
    fraction: float = 1.0

    def sizes(self, recipe: Recipe) -> tuple[int | None, int | None]:
        """Sides in pixels of training and test images; None for the images' own. A size that a
        user names keeps the recipe's ratio of the two."""
        asked, trained, tested = self.image_size, recipe.image_size, recipe.test_image_size
        if asked is None:
            return trained, tested or trained
        if trained is None or tested is None:
            return asked, asked
        return asked, round(asked * tested / trained)

    def training(
        self,
        recipe: Recipe,
        seed: int,
        start: Start | None,
        device: torch.device,
        group: Group,
    ) -> Batches:
        """One process's share of the training images. Raises what `load_images` raises."""
        size, _ = self.sizes(recipe)
        images = load_images(self.data, "train", size, self.cache)
        if self.fraction < 1:
            images = images.subset(training_subset(images.labels, self.fraction, seed))
        mean, std = (start.mean, start.std) if start else (images.mean(), images.std())
        return MemoryBatches(
            images.to(device),
            recipe.augmentation,
            recipe.batch_size // group.size,
            mean,
            std,
            resolve_precision(recipe.precision, device),
            group.rank,
            group.size,
            recipe.repeats,
        )

    def test(
        self, recipe: Recipe, trained: Batches, device: torch.device, group: Group
    ) -> TestBatches:
        """One process's share of the test images, for a network trained on `trained`."""
        _, size = self.sizes(recipe)
        images = load_images(self.data, "test", size or trained.image_size, self.cache)
        return MemoryTestBatches(
            images,
            TEST_BATCH,
            trained.mean,
            trained.std,
            device,
            rank=group.rank,
            world=group.size,
        )
