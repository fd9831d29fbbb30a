"""The optimiser of a recipe, and its state by parameter name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from senet_nas.training.recipe import Recipe

_GROUP = "/group"  # no parameter's name begins so
_MOMENTUM = "momentum_buffer"
_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over the network's parameters that are trained."""
    decayed, spared = _split(network, recipe.decay_spares)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate, momentum, squares = recipe.learning_rate, recipe.momentum, recipe.square_momentum
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups, lr=rate, momentum=momentum, nesterov=recipe.nesterov, fused=True
        )
    settings: dict[str, Any] = {"lr": rate, "eps": recipe.epsilon}
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, betas=(momentum, squares), fused=True, **settings)
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, alpha=squares, momentum=momentum, **settings)
    from timm.optim import Lamb, RMSpropTF

    if recipe.optimiser == "rmsprop_tf":
        rmsprop: torch.optim.Optimizer = RMSpropTF(
            groups, alpha=squares, momentum=momentum, **settings
        )
        return rmsprop
    # Gradients are clipped before, as for every optimiser.
    lamb: torch.optim.Optimizer = Lamb(
        groups, betas=(momentum, squares), max_grad_norm=None, **settings
    )
    return lamb


def optimiser_state(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser keeps: a momentum buffer under its parameter's name, all else under
    `name/kind`, and what belongs to a group of parameters under `/group/number/kind`."""
    found = {
        name if kind == _MOMENTUM else f"{name}/{kind}": torch.as_tensor(value)
        for name, parameter in network.named_parameters()
        for kind, value in optimiser.state.get(parameter, {}).items()
        if value is not None
    }
    for number, group in enumerate(optimiser.param_groups):
        if "step" in group:
            found[f"{_GROUP}/{number}/step"] = torch.tensor(float(group["step"]))
    return found


def restore_optimiser(
    network: nn.Module, optimiser: torch.optim.Optimizer, kept: Mapping[str, Tensor]
) -> None:
    """Put back what `optimiser_state` gave."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, value in kept.items():
        name, _, kind = key.partition("/")
        by_name.setdefault(name, {})[kind or _MOMENTUM] = value
    state, groups, index = {}, [], 0
    for number, group in enumerate(optimiser.param_groups):
        indices = range(index, index := index + len(group["params"]))
        for position, parameter in zip(indices, group["params"], strict=True):
            if values := by_name.get(names[id(parameter)]):
                state[position] = {kind: _like(parameter, value) for kind, value in values.items()}
        extra: dict[str, Any] = {}
        if (step := kept.get(f"{_GROUP}/{number}/step")) is not None:
            extra["step"] = int(step)
        groups.append({**group, **extra, "params": list(indices)})
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's layout in memory, where it has its shape."""
    if value.shape != parameter.shape or value.ndim == 0:
        return value.clone()
    return torch.empty_like(parameter).copy_(value)


def _split(
    network: nn.Module, spares: tuple[str, ...]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that decay, and those that don't."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for kind, parameter in _kinds(network):
        (spared if kind in spares else decayed).append(parameter)
    return decayed, spared


def _kinds(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Each parameter that is trained, once, with `norms`, `biases` or `weights`."""
    of_norms = {
        id(parameter)
        for _, module in network.named_modules()
        if isinstance(module, _NORMS) or "norm" in type(module).__name__.lower()
        for parameter in module.parameters(recurse=False)
    }
    for parameter in network.parameters():
        if parameter.requires_grad:
            kind = "biases" if parameter.ndim <= 1 else "weights"
            yield ("norms" if id(parameter) in of_norms else kind), parameter
