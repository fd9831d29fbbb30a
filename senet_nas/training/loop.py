"""The training loop, for candidates of a search and for final networks alike.

With one seed, float32, one device and one number of threads, two runs are equal to the last bit,
also where one of them was resumed, between two epochs or within one. Not reproducible to the bit:
bfloat16 against float32, other numbers of threads or of workers, other devices, and on GPUs
kernels that add in varying order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from search_space import checks
from search_space.errors import InputError
from senet_nas.data import RGB, ImageSet
from senet_nas.data.batches import Batches
from senet_nas.data.memory import MemoryBatches
from senet_nas.nn.freed_memory import keep_freed_memory
from senet_nas.training.averaging import make_average
from senet_nas.training.device import as_device
from senet_nas.training.epoch import state_of, train_epoch
from senet_nas.training.group import ALONE, Group
from senet_nas.training.losses import make_loss, make_mixing
from senet_nas.training.optimiser import make_optimiser, restore_optimiser
from senet_nas.training.precision import resolve_precision, slow_layers_in_float32
from senet_nas.training.recipe import Recipe
from senet_nas.training.regularisation import regularised
from senet_nas.training.seeding import forked_rng
from senet_nas.training.state import (
    DeadlineError,
    EpochReport,
    NonFiniteLossError,
    Observer,
    TrainingState,
)
from senet_nas.training.step import Context, Learn

__all__ = [
    "DeadlineError",
    "EpochReport",
    "NonFiniteLossError",
    "Observer",
    "TrainingState",
    "train",
    "train_on",
]


def train(
    network: nn.Module,
    images: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    mean: RGB | None = None,
    std: RGB | None = None,
    state: TrainingState | None = None,
    on_epoch: Callable[[EpochReport, TrainingState], bool | None] | None = None,
    deadline: float | None = None,
) -> TrainingState:
    """`train_on` images in memory, in one process.

    mean, std: of each channel, 0 to 1; by default those of `images`. on_epoch: called after each
    epoch; True ends training there.
    """
    checks.seed(seed)
    device = as_device(device)
    mean, std = mean or images.mean(), std or images.std()
    batches = MemoryBatches(
        images.to(device),
        recipe.augmentation,
        recipe.batch_size,
        mean,
        std,
        resolve_precision(recipe.precision, device),
        repeats=recipe.repeats,
    )
    return train_on(
        network,
        batches,
        recipe,
        seed=seed,
        device=device,
        state=state,
        observer=_EpochObserver(on_epoch),
        deadline=deadline,
    )


def train_on(
    network: nn.Module,
    batches: Batches,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    state: TrainingState | None = None,
    observer: Observer | None = None,
    group: Group = ALONE,
    deadline: float | None = None,
    learn: Learn | None = None,
) -> TrainingState:
    """Train `network` in place, from `state` where one is given, to the recipe's last epoch.

    batches: this process's share, for this device and precision. observer: is told in the first
    process of the group. deadline: an instant of `time.monotonic()`, in seconds, for a group of
    one. learn: what a step learns from, where it isn't the network's own loss. Raises
    `NonFiniteLossError`, `DeadlineError`, and `InputError` for fewer than two images, for fewer
    images in a batch than workers, and for a seed out of range.
    """
    checks.seed(seed)
    device = as_device(device)
    if batches.count < 2:
        raise InputError(f"training needs at least 2 images, not {batches.count}")
    if batches.count // batches.steps() < group.size:
        raise InputError(
            f"a batch of {recipe.batch_size} images of {batches.count} leaves some of "
            f"{group.size} workers without any"
        )
    if device.type == "cpu":
        keep_freed_memory()
    network.to(device).to(memory_format=torch.channels_last)
    if state is not None:
        network.load_state_dict(state.weights)
    context = replace(_context(network, batches, recipe, group, device), learn=learn)
    if state is None:
        state = TrainingState(0, network.state_dict(), {})
    else:
        restore_optimiser(network, context.optimiser, state.momentum)
        if context.average is not None:
            context.average.restore(state.average)
    observer = observer or Observer()
    limit = math.inf if deadline is None else deadline
    with forked_rng(device), regularised(network, recipe), _fastest_convolutions():
        for epoch in range(state.epoch, recipe.epochs):
            with slow_layers_in_float32(network, context.dtype, device):
                report = train_epoch(context, batches, seed, state, observer, limit)
            state = state_of(context, epoch + 1)
            stops = observer.after_epoch(report, state) if group.is_first else None
            if group.first_says(bool(stops), device):
                break
    return state


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """Inside, cuDNN tries its kernels on each shape that it meets, and keeps the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class _EpochObserver(Observer):
    """Passes on what an epoch gave."""

    def __init__(
        self, on_epoch: Callable[[EpochReport, TrainingState], bool | None] | None
    ) -> None:
        self._on_epoch = on_epoch

    def after_epoch(self, report: EpochReport, state: TrainingState) -> bool | None:
        return None if self._on_epoch is None else self._on_epoch(report, state)


def _context(
    network: nn.Module, batches: Batches, recipe: Recipe, group: Group, device: torch.device
) -> Context:
    return Context(
        network=network,
        wrapped=group.wrapped(network, device),
        statistics=[]
        if group.size == 1
        else [b for b in network.buffers() if b.is_floating_point()],
        recipe=recipe,
        optimiser=make_optimiser(network, recipe),
        average=make_average(network, recipe),
        loss=make_loss(recipe),
        mixing=make_mixing(recipe, len(batches.classes)),
        group=group,
        device=device,
        dtype=resolve_precision(recipe.precision, device),
    )
