"""Modules run as they stand, but for batch norms, whose outputs are put off until it is known what
follows: an activation, SE, a shortcut. All of these are then one map (`tail.py`).

So no cell and no placement is written a second time: a unit's equation is evaluated on a view of
the unit whose maps give and take such values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senet_nas.nn.fused.nodes import layout, like
from senet_nas.nn.fused.primitives import ACTS as FUNCTIONS
from senet_nas.nn.fused.primitives import Kernels, kernels_for
from senet_nas.nn.fused.switch import is_plain
from senet_nas.nn.fused.tail import normalise
from senet_nas.nn.squeeze_excitation import SqueezeExcitation

if TYPE_CHECKING:
    from senet_nas.nn.placement import Unit

ACTS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Hardswish: "hard_swish",
}


_OF_GATES = ("gates", "excite", "excitation")


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """act(shortcut + se(norm(x))), or se(act(norm(x))), that nobody has computed yet."""

    x: Tensor
    norm: nn.BatchNorm2d
    kernels: Kernels
    se: SqueezeExcitation | None = None
    shortcut: Tensor | None = None
    act: str | None = None
    acts_before_se: bool = False

    def value(self) -> Tensor:
        """What was put off, computed."""
        if self.x.is_cuda and not self._pays_on_gpus():
            return self._plainly()
        return normalise(
            self.x,
            self.norm,
            self.kernels,
            se=self.se,
            shortcut=self.shortcut,
            act=self.act or "identity",
            acts_before_se=self.acts_before_se,
        )

    def _pays_on_gpus(self) -> bool:
        """Whether fewer passes over memory outweigh the starts of small kernels. cuDNN's batch
        norm with an activation behind it is as good; with SE or a sum it isn't."""
        return self.se is not None or self.shortcut is not None

    def _plainly(self) -> Tensor:
        """By the library's functions, one after another."""
        y: Tensor = self.norm(self.x)
        if self.shortcut is not None:
            y = self.shortcut + y
        if self.act is None or self.act == "identity":
            return y
        # In place where the gradient doesn't need what was there before.
        return F.relu_(y) if self.act == "relu" else FUNCTIONS[self.act](y)

    def activated(self, act: str) -> Pending | None:
        """With an activation behind it; None where it can't be put off further."""
        if self.act is not None or self.acts_before_se:
            return None
        return Pending(self.x, self.norm, self.kernels, self.se, self.shortcut, act)

    def gated(self, se: SqueezeExcitation) -> Pending | None:
        """With SE behind it."""
        if self.se is not None or self.shortcut is not None:
            return None
        return Pending(self.x, self.norm, self.kernels, se, None, self.act, self.act is not None)

    def plus(self, shortcut: Tensor) -> Pending | None:
        """With a shortcut added to it."""
        if self.shortcut is not None or self.act is not None:
            return None
        if shortcut.dtype != self.x.dtype or shortcut.shape != self.x.shape:
            return None
        if shortcut.device != self.x.device:
            return None
        return Pending(self.x, self.norm, self.kernels, self.se, like(shortcut, self.x))


Value = Tensor | Pending


def value_of(x: Value) -> Tensor:
    """The tensor, computed if need be."""
    return x.value() if isinstance(x, Pending) else x


def run(module: nn.Module, x: Value) -> Value:
    """module(x), of which the last batch norm and what follows it may be put off."""
    kind = type(module)
    if kind is nn.Sequential:
        if not is_plain(module):
            return _called(module, x)
        for child in module._modules.values():
            x = run(child, x)  # type: ignore[arg-type]
        return x
    if kind is nn.BatchNorm2d and is_plain(module):
        return _norm(module, value_of(x))  # type: ignore[arg-type]
    if kind in ACTS and isinstance(x, Pending) and is_plain(module):
        return x.activated(ACTS[kind]) or _called(module, x)
    if kind is nn.Identity and is_plain(module):
        return x
    return _called(module, x)


def _called(module: nn.Module, x: Value) -> Tensor:
    y: Tensor = module(value_of(x))
    return y


def _norm(norm: nn.BatchNorm2d, x: Tensor) -> Value:
    """Put off where the kernels can do it: what the module itself would refuse is left to it."""
    kernels = kernels_for(x) if _is_common(norm, x) else None
    return norm(x) if kernels is None else Pending(x, norm, kernels)


def _is_common(norm: nn.BatchNorm2d, x: Tensor) -> bool:
    weight, bias = norm.weight, norm.bias
    mean, variance = norm.running_mean, norm.running_var
    return (
        weight is not None
        and bias is not None
        and mean is not None
        and variance is not None
        and norm.num_batches_tracked is not None
        and (norm.track_running_stats or not norm.training)
        and x.ndim == 4
        and weight.dtype is bias.dtype is mean.dtype is variance.dtype is torch.float32
        and weight.shape == bias.shape == mean.shape == variance.shape == x.shape[1:2]
        and weight.device == x.device  # kernels would read whatever is there
        and bias.is_contiguous()
        and mean.is_contiguous()
        and x.numel() > x.shape[1]  # one value for each channel has no variance
        and layout(x) is not None
    )


class PuttingOff:
    """A view of a unit, with which its equation is evaluated on values that are put off."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.shortcut: Callable[[Value], Value] | None = (
            None if unit.shortcut is None else self._shortcut
        )

    def entry(self, x: Tensor) -> Tensor:
        return value_of(run(self._unit.entry, x))

    def head(self, x: Value) -> Value:
        return run(self._unit.head, x)

    def tail(self, x: Value) -> Value:
        return run(self._unit.tail, x)

    def act(self, x: Value) -> Value:
        return run(self._unit.act, x)

    def _shortcut(self, x: Value) -> Value:
        assert self._unit.shortcut is not None
        return run(self._unit.shortcut, x)

    def gate(self, x: Value) -> Value:
        """g(x)."""
        se = self._unit.se
        if isinstance(x, Pending) and se is not None and _means(se) and (gated := x.gated(se)):
            return gated
        return self._unit.gate(value_of(x))

    def join(self, x: Value, branch: Value) -> Value:
        """s(x) and the branch together."""
        return branch if self.shortcut is None else self.together(self.shortcut(x), branch)

    def together(self, shortcut: Value, branch: Value) -> Value:
        """The sum, as a part of the branch's map where that is put off."""
        shortcut = value_of(shortcut)
        if self._unit.adds and isinstance(branch, Pending) and (sum_ := branch.plus(shortcut)):
            return sum_
        return self._unit.together(shortcut, value_of(branch))


def _means(se: SqueezeExcitation) -> bool:
    """Whether SE gates by the means over H x W, by its own code."""
    return (
        type(se) is SqueezeExcitation
        and se.value.squeeze == "avg"
        and is_plain(se)
        and se.__dict__.keys().isdisjoint(_OF_GATES)
    )
