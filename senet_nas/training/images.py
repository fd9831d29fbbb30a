"""The images of a training: which, how large, how they are read, and as whose share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from senet_nas.data import Batches, Reading, TestBatches, test_batches, training_batches
from senet_nas.training.group import Group
from senet_nas.training.precision import resolve_precision
from senet_nas.training.recipe import Recipe
from senet_nas.training.start import Start

TEST_BATCH = 500  # images
_TEST_PIXELS = TEST_BATCH * 64 * 64  # of larger ones fewer at a time


@dataclass(frozen=True, slots=True)
class Images:
    """data: see `load_images`. image_size: side in pixels, the recipe's or the images' own where it
    isn't given. fraction: of the training images, by the seed. reading: in memory or streamed, by
    how many processes; see `Reading`."""

    data: str | Path | None
    image_size: int | None = None
    fraction: float = 1.0
    reading: Reading = field(default_factory=Reading)

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
        """One process's share of the training images. Raises what `training_batches` raises."""
        return training_batches(
            self.data,
            augmentation=recipe.augmentation,
            batch_size=recipe.batch_size // group.size,
            image_size=self.sizes(recipe)[0],
            device=device,
            dtype=resolve_precision(recipe.precision, device),
            rank=group.rank,
            world=group.size,
            mean=start.mean if start else None,
            std=start.std if start else None,
            fraction=self.fraction,
            repeats=recipe.repeats,
            seed=seed,
            reading=self.reading,
        )

    def test(
        self, recipe: Recipe, trained: Batches, device: torch.device, group: Group
    ) -> TestBatches:
        """One process's share of the test images, for a network trained on `trained`."""
        size = self.sizes(recipe)[1] or trained.image_size
        return test_batches(
            self.data,
            image_size=size,
            crop_percent=recipe.test_crop,
            interpolation=recipe.test_interpolation,
            batch_size=test_batch_size(size),
            device=device,
            rank=group.rank,
            world=group.size,
            mean=trained.mean,
            std=trained.std,
            reading=self.reading,
        )


def test_batch_size(image_size: int) -> int:
    """How many images of this side are evaluated at a time: 500 of small ones, 40 at 224."""
    return max(1, min(TEST_BATCH, _TEST_PIXELS // image_size**2))
