"""What a training will take, before hours are spent on it: steps, time, disk."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_space.errors import InputError
from senet_nas.data.copies import copies_bytes
from senet_nas.training.device import as_device
from senet_nas.training.group import Group
from senet_nas.training.job import Job, Opened, open_job
from senet_nas.training.loop import train_on
from senet_nas.training.recipe import Recipe
from senet_nas.training.state import Observer, StepReport

MEASURED_STEPS = 40
MEASURED_SECONDS = 20.0
_BYTES = 4  # of a float32
# Tensors as large as the weights that an optimiser keeps.
_KEPT = {"sgd": 1, "rmsprop": 2, "rmsprop_tf": 2, "adamw": 2, "lamb": 2}


@dataclass(frozen=True, slots=True)
class Plan:
    """steps: of the whole training. disk_bytes: the most that its folder takes; free_bytes: what
    is free there; cache_bytes: what smaller copies of its images take, about. step_seconds: as
    measured, one worker's share of a batch alone on this machine, so that what several exchange
    isn't in it; None where it wasn't measured."""

    epochs: int
    steps: int
    steps_per_epoch: int
    batch_size: int
    workers: int
    train_images: int
    classes: int
    image_size: int
    params: int
    disk_bytes: int
    free_bytes: int
    cache_bytes: int = 0
    step_seconds: float | None = None

    @property
    def hours(self) -> float | None:
        """Of the whole training, without its last evaluation."""
        return None if self.step_seconds is None else self.step_seconds * self.steps / 3600

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        speed = None if self.step_seconds is None else self.batch_size / self.step_seconds
        return asdict(self) | {"hours": self.hours, "images_per_second": speed}

    def __str__(self) -> str:
        copies = f"; copies: about {_megabytes(self.cache_bytes)}" if self.cache_bytes else ""
        return (
            f"{self.train_images:,} images of {self.classes} classes at {self.image_size} pixels; "
            f"{self.epochs} epochs of {self.steps_per_epoch:,} steps of {self.batch_size} images, "
            f"{self.steps:,} in all; {self.params:,} parameters; disk: "
            f"{_megabytes(self.disk_bytes)}, free: {_megabytes(self.free_bytes)}{copies}"
        )

    def check(self, out: Path) -> None:
        """Raise `InputError` where the disk hasn't room for the training."""
        if self.free_bytes < self.disk_bytes:
            raise InputError(
                f"{out}: the training needs {_megabytes(self.disk_bytes)} of disk, and "
                f"{_megabytes(self.free_bytes)} are free"
            )


def plan_job(opened: Opened, workers: int) -> Plan:
    """The plan of a job that was opened as one of so many workers; nothing is measured."""
    job, batches, network = opened.job, opened.batches, opened.network
    steps = batches.steps()
    copies = job.images.reading.copies
    return Plan(
        epochs=job.recipe.epochs,
        steps=steps * job.recipe.epochs,
        steps_per_epoch=steps,
        batch_size=job.recipe.batch_size,
        workers=workers,
        train_images=batches.count,
        classes=len(batches.classes),
        image_size=batches.image_size,
        params=sum(p.numel() for p in network.parameters()),
        disk_bytes=disk_bytes(network, job.recipe),
        free_bytes=shutil.disk_usage(_existing(job.out)).free,
        cache_bytes=0 if copies is None else copies_bytes(batches.count, copies),
    )


def measured_plan(job: Job, device: torch.device | str | None, workers: int = 1) -> Plan:
    """The plan of a job with the time that its first steps take here: of at most 40, or of 20
    seconds. Smaller copies aren't made for it: it reads the images themselves. Raises what training
    itself would raise first."""
    device = as_device(device)
    itself = replace(job.images, reading=replace(job.images.reading, copies=None))
    opened = open_job(replace(job, images=itself), device, Group(0, workers))
    plan = plan_job(replace(opened, job=job), workers)
    clock = _Clock(device)
    with contextlib.suppress(_EnoughError):
        train_on(
            opened.network,
            opened.batches,
            job.recipe,
            seed=job.seed,
            device=device,
            observer=clock,
        )
    return replace(plan, step_seconds=clock.step_seconds())


def disk_bytes(network: nn.Module, recipe: Recipe) -> int:
    """What a training's folder takes at most: the state twice while it is replaced, and the
    checkpoint; metrics are small beside them."""
    weights = sum(tensor.numel() for tensor in network.state_dict().values()) * _BYTES
    params = sum(parameter.numel() for parameter in network.parameters()) * _BYTES
    state = weights * (2 if recipe.ema_decay else 1) + params * _KEPT[recipe.optimiser]
    return int(2 * state + weights)


class _EnoughError(Exception):
    """Enough steps were measured."""


class _Clock(Observer):
    """Measures the first steps, and then stops training."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ends: list[float] = []

    def after_step(self, report: StepReport) -> None:
        """See `Observer`."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._ends.append(time.monotonic())
        is_late = self._ends[-1] - self._ends[0] > MEASURED_SECONDS
        if len(self._ends) > 2 and (is_late or len(self._ends) >= MEASURED_STEPS):
            raise _EnoughError

    def step_seconds(self) -> float | None:
        """The mean of the second half of the steps: by then batches that were read ahead are used
        up, and all that is done once is done. None where the training has fewer than two steps."""
        half = (len(self._ends) - 1) // 2
        count = len(self._ends) - 1 - half
        return (self._ends[-1] - self._ends[half]) / count if count > 0 else None


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
