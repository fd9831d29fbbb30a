"""How long an ablation will take, measured on its base before hours are spent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from senet_nas.data import SAMPLE, training_subset
from senet_nas.data.layout import layout_of
from senet_nas.data.sources import open_source
from senet_nas.search.ablation.definition import AblationFile
from senet_nas.search.ablation.running import preflight
from senet_nas.search.estimate import SCORING_SHARE, images_per_second
from senet_nas.training import as_device

CIFAR10_TEST_IMAGES = 10_000


@dataclass(frozen=True)
class AblationEstimate:
    """What an ablation would train on, and how long. images_per_second: in training the base.
    hours: of all trainings, one after another, at that speed."""

    image_size: int
    classes: int
    training_images: int
    test_images: int
    epochs: int
    trainings: int
    images_per_second: float
    hours: float

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def estimate(ablation: AblationFile, device: torch.device | str | None = None) -> AblationEstimate:
    """Train the base on a few images, and reckon from its speed. Nothing is written.

    Raises `InputError` as the ablation itself would.
    """
    images = preflight(ablation)
    seed = ablation.seeds[0]
    if ablation.fraction < 1:
        images = images.subset(training_subset(images.labels, ablation.fraction, seed))
    recipe = ablation.resolved_recipe()
    base = ablation.trained(ablation.base)
    rate = images_per_second(base, images, recipe, device=str(as_device(device)))
    trainings = len(ablation.seeds) * len(ablation.variants)
    test = _test_images(ablation.data)
    seconds = trainings * (recipe.epochs * len(images) + SCORING_SHARE * test) / rate
    return AblationEstimate(
        images.image_size,
        len(images.classes),
        len(images),
        test,
        recipe.epochs,
        trainings,
        round(rate, 1),
        round(seconds / 3600, 3),
    )


def _test_images(data: str | None) -> int:
    """How many there are, told from names alone."""
    if data == "cifar10" and not Path(data).exists():
        return CIFAR10_TEST_IMAGES
    source = open_source(SAMPLE if data is None else data)
    return len(layout_of(str(source.path), source.paths()).test)
