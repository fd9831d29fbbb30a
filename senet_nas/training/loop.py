"""The training loop, for candidates of a search and for final networks alike.

With one seed, float32, one device and one number of threads, two runs are equal to the last bit,
also where one of them was resumed between epochs. Not reproducible to the bit: bfloat16 against
float32, other numbers of threads, other devices, and on GPUs kernels that add in varying order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space import checks
from search_space.errors import InputError, RunError
from senet_nas.data import RGB, ImageSet, augment, draw
from senet_nas.training.device import as_device
from senet_nas.training.optimiser import (
    learning_rate,
    make_optimiser,
    momentum_by_name,
    restore_momentum,
)
from senet_nas.training.precision import autocast, resolve_precision, slow_layers_in_float32
from senet_nas.training.recipe import Recipe
from senet_nas.training.seeding import epoch_generator, epoch_seed, forked_rng

_STEPS_BETWEEN_CHECKS = 50  # reading the loss makes the CPU wait for a GPU


class NonFiniteLossError(RunError):
    """The loss became infinite or no number: this network doesn't train with this recipe."""


class DeadlineError(TimeoutError):
    """The time allowed for training was over before its end."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Where training stands between two epochs: how many are done, the network's weights and
    buffers, the optimiser's momentum. The tensors are the live ones: copy what is to last."""

    epoch: int
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one epoch (counted from 1) gave: mean training loss, the rate of its last step, time,
    speed."""

    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    seconds: float
    images_per_second: float


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
    """Train `network` in place, from `state` where one is given, to the recipe's last epoch.

    mean, std: of each channel, 0 to 1; by default those of `images`. on_epoch: called after each
    epoch; True ends training there. deadline: an instant of `time.monotonic()`, in seconds.
    Raises `NonFiniteLossError`, `DeadlineError`, and `InputError` for fewer than two images and
    for a seed out of range.
    """
    checks.seed(seed)
    if len(images) < 2:
        raise InputError(f"training needs at least 2 images, not {len(images)}")
    device = as_device(device)
    mean, std = mean or images.mean(), std or images.std()
    network.to(device).to(memory_format=torch.channels_last)
    optimiser = make_optimiser(network, recipe)
    if state is None:
        state = TrainingState(0, network.state_dict(), {})
    else:
        network.load_state_dict(state.weights)
        restore_momentum(network, optimiser, state.momentum)
    context = _Context(
        network,
        images.to(device),
        recipe,
        optimiser,
        torch.tensor(mean, device=device),
        torch.tensor(std, device=device),
        resolve_precision(recipe.precision, device),
        math.inf if deadline is None else deadline,
    )
    with forked_rng(device):
        for epoch in range(state.epoch, recipe.epochs):
            with slow_layers_in_float32(network, context.dtype, device):
                report = _train_epoch(context, epoch, seed)
            momentum = momentum_by_name(network, optimiser)
            state = TrainingState(epoch + 1, network.state_dict(), momentum)
            if on_epoch is not None and on_epoch(report, state):
                break
    return state


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """What stays the same over all epochs."""

    network: nn.Module
    images: ImageSet
    recipe: Recipe
    optimiser: torch.optim.SGD
    mean: Tensor
    std: Tensor
    dtype: torch.dtype
    deadline: float


def _train_epoch(context: _Context, epoch: int, seed: int) -> EpochReport:
    images, recipe, count = context.images, context.recipe, len(context.images)
    device = images.images.device
    started = time.monotonic()
    generator = epoch_generator(seed, epoch)
    torch.manual_seed(epoch_seed(seed, epoch))  # dropout draws from the global generators
    order = torch.randperm(count, generator=generator).to(device)
    height, width = images.images.shape[2:]
    draws = draw(recipe.augmentation, count, height, width, generator).to(device)
    loss_sum, rate = torch.zeros((), device=device), 0.0
    parts = batch_slices(count, recipe.batch_size)
    context.network.train()
    for step, part in enumerate(parts):
        rate = learning_rate(recipe, epoch * len(parts) + step, len(parts))
        chosen = order[part]
        batch = augment(
            images.pixels,
            chosen,
            draws[part],
            recipe.augmentation,
            context.mean,
            context.std,
            context.dtype,
        )
        loss = _step(context, batch, images.labels[chosen], rate)
        loss_sum += loss * len(chosen)
        if device.type == "cpu" or step % _STEPS_BETWEEN_CHECKS == 0:
            _check(loss_sum, epoch, context.deadline)
    _check(loss_sum, epoch, math.inf)
    seconds = time.monotonic() - started
    mean_loss = float(loss_sum) / count
    return EpochReport(epoch + 1, recipe.epochs, mean_loss, rate, seconds, count / seconds)


def _step(context: _Context, batch: Tensor, labels: Tensor, rate: float) -> Tensor:
    for group in context.optimiser.param_groups:
        group["lr"] = rate
    with autocast(context.dtype, batch.device):
        logits = context.network(batch).float()
    loss = F.cross_entropy(logits, labels, label_smoothing=context.recipe.label_smoothing)
    context.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    context.optimiser.step()
    return loss.detach()


def batch_slices(count: int, batch_size: int) -> list[slice]:
    """`count` images in as few batches as `batch_size` allows, of sizes that differ by one at
    most: each image is used in each epoch, and no batch is too small for a batch norm."""
    batches = math.ceil(count / batch_size)
    bounds = [count * index // batches for index in range(batches + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def _check(loss_sum: Tensor, epoch: int, deadline: float) -> None:
    if not math.isfinite(float(loss_sum)):
        raise NonFiniteLossError(f"the loss became {float(loss_sum)} in epoch {epoch + 1}")
    if time.monotonic() > deadline:
        raise DeadlineError(f"the time for training was over in epoch {epoch + 1}")
