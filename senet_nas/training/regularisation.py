"""Stochastic depth (arXiv 1603.09382) and dropout of a recipe, on a network while it trains.

Neither changes the network's weights, names or architecture: a unit's sum, and the input of its
last linear layer, are thinned for as long as training lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from senet_nas.nn.placement import Unit
from senet_nas.nn.squeeze_excitation import SqueezeExcitation
from senet_nas.training.recipe import Recipe


@contextmanager
def regularised(network: nn.Module, recipe: Recipe) -> Iterator[None]:
    """Inside, `network` in training mode has the recipe's stochastic depth and dropout."""
    with ExitStack() as stack:
        if recipe.drop_path:
            stack.enter_context(stochastic_depth(network, recipe.drop_path))
        if recipe.dropout is not None:
            stack.enter_context(classifier_dropout(network, recipe.dropout))
        yield


def residual_units(network: nn.Module) -> list[Unit]:
    """The units whose output is a sum of shortcut and branch, in order."""
    return [
        module
        for module in network.modules()
        if isinstance(module, Unit)
        and module.shortcut is not None
        and type(module).together is Unit.together
    ]


@contextmanager
def stochastic_depth(network: nn.Module, rate: float) -> Iterator[None]:
    """Inside, branches of images are left out by chance: never in the first residual unit, with
    probability `rate` in the last, in between along a line (section 3)."""
    units = residual_units(network)
    for index, unit in enumerate(units):
        own_rate = rate * index / max(1, len(units) - 1)
        unit.together = partial(_thinned_sum, unit, own_rate)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for unit in units:
            del unit.together  # the class's own again


def _thinned_sum(unit: Unit, rate: float, shortcut: Tensor, branch: Tensor) -> Tensor:
    from torchvision.ops import stochastic_depth as thinned

    kept: Tensor = thinned(branch, rate, "row", unit.training)
    return shortcut + kept


@contextmanager
def classifier_dropout(network: nn.Module, rate: float) -> Iterator[None]:
    """Inside, what enters the classifier is dropped with this probability, and the network's own
    dropout is off."""
    of_se = {
        id(module)
        for se in network.modules()
        if isinstance(se, SqueezeExcitation)
        for module in se.modules()
    }
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    layers = [module for module in linear if id(module) not in of_se]
    own = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    rates = [module.p for module in own]
    for module in own:
        module.p = 0.0
    hook = layers[-1].register_forward_pre_hook(partial(_dropped, rate)) if layers else None
    try:
        yield
    finally:
        if hook is not None:
            hook.remove()
        for module, before in zip(own, rates, strict=True):
            module.p = before


def _dropped(rate: float, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (F.dropout(inputs[0], rate, module.training), *inputs[1:])


@contextmanager
def frozen_norms(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms use and keep the statistics that they have. Enter it after `train()`."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [module.training for module in norms]
    for module in norms:
        module.eval()
    try:
        yield
    finally:
        for module, was in zip(norms, before, strict=True):
            module.train(was)
