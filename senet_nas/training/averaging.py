"""The moving average of a network's weights in training (timm's), which is evaluated in its place.

It begins as a plain mean: with a decay of 0.9999 from the first step, a short training would
evaluate little more than random weights. As in TensorFlow's `ExponentialMovingAverage`, with which
EfficientNet was trained, update n uses (1 + n) / (10 + n) until that reaches the decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from senet_nas.training.recipe import Recipe

_RISE = 9.0


class Average:
    """The average of `network` by a recipe that asks for one."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        from timm.utils import ModelEmaV3

        self._every = recipe.ema_every
        self._ema: Any = ModelEmaV3(
            network,
            decay=recipe.ema_decay,
            use_warmup=True,
            warmup_gamma=_RISE,
            warmup_power=1.0,
        )

    @property
    def network(self) -> nn.Module:
        """A network of the averaged weights and buffers, in evaluation mode."""
        module: nn.Module = self._ema.module
        return module

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights and buffers by name; the live tensors."""
        return self.network.state_dict()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what `weights` gave."""
        self.network.load_state_dict(weights)

    def update(self, network: nn.Module, step: int) -> None:
        """Take up the weights after a step, counted from 1 over the whole training."""
        if step % self._every == 0:
            self._ema.update(network, step // self._every)


def make_average(network: nn.Module, recipe: Recipe) -> Average | None:
    """The average that a recipe asks for; None where it asks for none."""
    return Average(network, recipe) if recipe.ema_decay else None
