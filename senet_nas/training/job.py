"""A training as plain values, and all that opening it tells before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_space import Blueprint, checks
from search_space.errors import InputError
from senet_nas.data import Batches, splits_of
from senet_nas.training.group import Group
from senet_nas.training.images import Images
from senet_nas.training.recipe import Recipe
from senet_nas.training.seeding import seeded_network
from senet_nas.training.start import Start

NetworkMaker = Callable[[Blueprint, int, int, int], nn.Module]


@dataclass(frozen=True, eq=False)
class Job:
    """What to train, on what, by what recipe, into which folder; other processes can be handed it.

    images: which, and how large. make_network: the network with its initial weights for
    (architecture, number of classes, image size, seed). start: weights to begin with in their
    place, and the normalisation that these expect. save_seconds: the state is kept after an
    epoch, at most so often; save_minutes: and within one. tensorboard: whether to write scalars.
    compiled: by torch.compile, which takes a minute or more at first, and rounds otherwise.
    """

    architecture: Blueprint
    images: Images
    recipe: Recipe
    out: Path
    seed: int = 0
    make_network: NetworkMaker = seeded_network
    start: Start | None = None
    save_seconds: float = 10.0
    save_minutes: float = 10.0
    tensorboard: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        checks.seed(self.seed)

    def absolute(self) -> Job:
        """The job with its paths in full, for processes that may start elsewhere."""
        data = self.images.data
        if data is not None and Path(data).exists():
            data = Path(data).absolute()
        return replace(self, images=replace(self.images, data=data), out=self.out.absolute())


@dataclass(frozen=True, eq=False)
class Opened:
    """A job with its images and its network there. has_test: whether there are images to test on.
    identity: what must be equal for one training to go on with another's state."""

    job: Job
    batches: Batches
    network: nn.Module
    has_test: bool
    identity: dict[str, Any]


def open_job(job: Job, device: torch.device, group: Group) -> Opened:
    """Open the images, one process's share of them, and build the network.

    Raises `InputError` for all that is wrong with a job, before anything is written.
    """
    if job.recipe.batch_size % group.size:
        raise InputError(
            f"batch_size {job.recipe.batch_size} can't be shared by {group.size} workers alike; "
            "set one that can (--set batch_size=…)"
        )
    splits = splits_of(job.images.data)
    batches = job.images.training(job.recipe, job.seed, job.start, device, group)
    count, size = len(batches.classes), batches.image_size
    if job.recipe.crop == "padded" and job.recipe.crop_padding >= size:
        raise InputError(f"crop_padding {job.recipe.crop_padding} must be below the image's {size}")

    def build(classes: int) -> nn.Module:
        return job.make_network(job.architecture, classes, size, job.seed)

    network = build(count)
    if job.start is not None:
        job.start.taught(batches.classes, build).into(network)
    if job.compiled:
        network.compile(dynamic=False)  # type: ignore[no-untyped-call]
    return Opened(job, batches, network, "test" in splits, _identity(job, batches))


def _identity(job: Job, batches: Batches) -> dict[str, Any]:
    data = {
        "images": batches.count,
        "classes": list(batches.classes),
        "size": batches.image_size,
        "mean": list(batches.mean),
    }
    if job.images.reading.copies is not None:
        data["copies"] = job.images.reading.copies
    schedule = {key: value for key, value in job.recipe.to_data().items() if key != "name"}
    return {
        "architecture": json.loads(job.architecture.to_json()),
        "recipe": schedule,
        "seed": job.seed,
        "start": None if job.start is None else job.start.digest,
        "data": data,
    }
