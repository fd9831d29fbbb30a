"""The optimiser of a recipe, its learning rate at each step, and its state by parameter name."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from senet_nas.training.recipe import Recipe


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD over the network's parameters; norms and biases (one dimension) don't decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=True,
    )


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate at a step counted from 0 over the whole training."""
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    remaining = max(1, recipe.epochs * steps_per_epoch - warmup)
    progress = (step - warmup) / remaining
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.learning_rate * (1 - progress if recipe.schedule == "linear" else 1.0)


def momentum_by_name(network: nn.Module, optimiser: torch.optim.SGD) -> dict[str, Tensor]:
    """The momentum of each parameter that has any yet."""
    buffers = {n: optimiser.state[p].get("momentum_buffer") for n, p in network.named_parameters()}
    return {name: buffer for name, buffer in buffers.items() if buffer is not None}


def restore_momentum(
    network: nn.Module, optimiser: torch.optim.SGD, momentum: Mapping[str, Tensor]
) -> None:
    """Put back what `momentum_by_name` gave."""
    for name, parameter in network.named_parameters():
        if name in momentum:
            buffer = torch.empty_like(parameter).copy_(momentum[name])
            optimiser.state[parameter]["momentum_buffer"] = buffer
