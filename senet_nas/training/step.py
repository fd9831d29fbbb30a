"""One step of training: forward and backward, in parts where the recipe says so, and an update."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from senet_nas.data.batches import Batch
from senet_nas.data.order import batch_slices
from senet_nas.training.averaging import Average
from senet_nas.training.group import Group
from senet_nas.training.losses import Loss, Mixing
from senet_nas.training.precision import autocast
from senet_nas.training.recipe import Recipe

# Puts gradients in place, averaged over the group; gives the sum of the images' losses.
Learn = Callable[["Context", Batch], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What stays the same over all steps. wrapped: the network with its gradients averaged over
    the group. statistics: the running means and variances of its norms. learn: what puts the
    gradients of a step in place, where it isn't the mean loss of one network."""

    network: nn.Module
    wrapped: nn.Module
    statistics: list[Tensor]
    recipe: Recipe
    optimiser: torch.optim.Optimizer
    average: Average | None
    loss: Loss
    mixing: Mixing | None
    group: Group
    device: torch.device
    dtype: torch.dtype
    learn: Learn | None = None


def take_step(context: Context, batch: Batch, rate: float) -> Tensor:
    """Train on one batch; the sum of its images' losses, left on the device."""
    for settings in context.optimiser.param_groups:
        settings["lr"] = rate
    context.optimiser.zero_grad(set_to_none=True)
    total = (context.learn or _gradients)(context, batch)
    if context.recipe.clip_norm:
        nn.utils.clip_grad_norm_(context.network.parameters(), context.recipe.clip_norm)
    context.optimiser.step()
    context.group.average(context.statistics)
    return total


def _gradients(context: Context, batch: Batch) -> Tensor:
    """The gradient of the mean loss over the whole step, of all workers; the sum of losses here."""
    images, labels = batch.images, batch.labels
    if context.mixing is not None:
        images, labels = context.mixing(images, labels)
    parts = batch_slices(len(labels), context.recipe.micro_batch or len(labels))
    total: Tensor | None = None
    for number, part in enumerate(parts):
        count = part.stop - part.start
        with _unshared(context, is_last=number == len(parts) - 1):
            with autocast(context.dtype, context.device):
                logits = context.wrapped(images[part]).float()
            loss = context.loss(logits, labels[part])
            share = batch.weight * count / len(labels)
            (loss if share == 1 else loss * share).backward()  # type: ignore[no-untyped-call]
        summed = loss.detach() * count
        total = summed if total is None else total + summed
    assert total is not None
    return total


def _unshared(context: Context, is_last: bool) -> AbstractContextManager[None]:
    """Inside, gradients stay in this process, until the last part of a step shares their sum."""
    if context.group.size == 1 or is_last:
        return nullcontext()
    unshared: AbstractContextManager[None] = context.wrapped.no_sync()  # type: ignore[operator]
    return unshared
