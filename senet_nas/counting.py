"""Multiply-adds and elements written, of whatever runs, by torch's own formulas.

`FlopCounterMode` counts the same, in several times the time: it follows modules, takes one kind of
number in a pass, and on the meta device torch works out each activation's shape in Python.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_aten = torch.ops.aten
# What they write has the shape of what they read, so that without data they need not run.
_SAME_SHAPE = frozenset(
    {
        _aten.relu,
        _aten.relu_,
        _aten.silu,
        _aten.silu_,
        _aten.hardswish,
        _aten.hardswish_,
        _aten.hardsigmoid,
        _aten.hardsigmoid_,
        _aten.hardtanh,
        _aten.hardtanh_,
        _aten.sigmoid,
        _aten.sigmoid_,
        _aten.tanh,
        _aten.tanh_,
        _aten.clamp,
        _aten.clamp_,
    }
)
_BROADCAST = frozenset({_aten.add, _aten.add_, _aten.mul, _aten.mul_})


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is entered. macs: multiply-adds of convolutions and of products of matrices.
    written: elements that these write. On the meta device what is written by other operations may
    be the very tensor that they read."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.written = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        operation = func._overloadpacket
        if args and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            if operation in _SAME_SHAPE or (operation in _BROADCAST and _fits(*args[:2])):
                return args[0]
            if operation is _aten.native_batch_norm:
                return args[0], args[0], args[0]  # nobody looks at the moments
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        formula = flop_registry.get(operation)
        if formula is not None:
            self.macs += formula(*args, **kwargs, out_val=output) // 2
            self.written += math.prod(output.shape)
        return output


def _fits(first: torch.Tensor, second: Any) -> bool:
    """Whether the two broadcast to the first's shape and type."""
    if not isinstance(second, torch.Tensor):
        return False
    same = first.dtype == second.dtype and first.dim() == second.dim()
    return same and all(b in (1, a) for a, b in zip(first.shape, second.shape, strict=True))
