"""What cells are made of: convolution with batch norm, activations, checks of a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from search_space import Block, InputError, checks
from search_space.errors import one_of
from search_space.values import Scalar

ONEDNN_BLOCK = 16  # channels

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "hard_swish": lambda: nn.Hardswish(inplace=True),
    "identity": nn.Identity,
}


class SubsampledPointwise(nn.Conv2d):
    """A strided 1x1 convolution computed as one of stride 1 on the pixels that it reads.

    oneDNN's backward pass of the strided one writes past its workspace where the input is
    narrower than its block and channels_last: wrong gradients, or a crash (oneDNN 6035).
    """

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.stride
        read = x[:, :, ::rows, ::columns]
        return F.conv2d(read, self.weight, self.bias, groups=self.groups)


class TensorFlowConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's `SAME` pads: ceil(n / stride) outputs of n, with as
    little padding as that takes, and an odd pixel of it behind.

    It differs from padding by half of the kernel where there is a stride and n divides by it.
    """

    def forward(self, x: Tensor) -> Tensor:
        sides: list[int] = []
        for axis in (-1, -2):
            total = self._lacking(x.shape[axis], self.kernel_size[axis], self.stride[axis])
            sides += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, sides), self.weight, self.bias, self.stride, groups=self.groups)

    @staticmethod
    def _lacking(length: int, kernel: int, stride: int) -> int:
        """Pixels that the last window reaches over the edge: max(0, l). The maximum is written so
        that it runs with the proxies and tensors that tracers have in a length's place."""
        lacking = kernel - 1 - (length - 1) % stride
        return lacking if kernel >= stride else lacking * (1 + lacking // stride)


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    groups: int = 1,
    activation: str = "identity",
    *,
    bias: bool = False,
    norm: bool = True,
    padding: int | tuple[int, int] | str = "same",
) -> nn.Sequential:
    """Convolution, batch norm, activation; norm: whether there is one. padding: `same`, half of the
    kernel; `valid`, none; `tf_same`, TensorFlow's, which depends on the input's size; or pixels.

    Raises `InputError` where the groups don't divide both widths.
    """
    if in_channels % groups or out_channels % groups:
        raise InputError(
            f"groups = {groups} does not divide the widths {in_channels} and {out_channels}"
        )
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    make, around = _convolution(size, stride, in_channels, padding)
    layers: list[nn.Module] = [
        make(in_channels, out_channels, size, stride, around, groups=groups, bias=bias)
    ]
    if norm:
        layers.append(nn.BatchNorm2d(out_channels))
    if activation != "identity":
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def _convolution(
    size: tuple[int, int], stride: int, in_channels: int, padding: int | tuple[int, int] | str
) -> tuple[type[nn.Conv2d], int | tuple[int, int]]:
    """The class that computes it, and its padding in pixels."""
    if size == (1, 1) and stride > 1 and in_channels < ONEDNN_BLOCK:
        return SubsampledPointwise, 0
    if padding == "tf_same" and stride > 1:
        return TensorFlowConv2d, 0
    if isinstance(padding, str):
        return nn.Conv2d, 0 if padding == "valid" else (size[0] // 2, size[1] // 2)
    return nn.Conv2d, padding


# Of the setting `shortcut` of residual cells.
SHORTCUTS = ("projection", "avg")


def projection(
    in_channels: int,
    out_channels: int,
    stride: int,
    kernel: int = 1,
    *,
    averaged: bool = False,
    norm: bool = True,
) -> nn.Module:
    """The shortcut of a residual unit: the identity where shapes agree, else a convolution
    with norm (arXiv 1512.03385, section 3.3, option B).

    averaged: x is averaged where the stride is, and the convolution has none (ResNet-D, arXiv
    1812.01187, figure 2c).
    """
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if not averaged or stride == 1:
        return conv_norm(in_channels, out_channels, kernel, stride, norm=norm)
    pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, *conv_norm(in_channels, out_channels, kernel, norm=norm))


def norm_act(channels: int, activation: str) -> nn.Sequential:
    """Batch norm and activation."""
    return nn.Sequential(nn.BatchNorm2d(channels), ACTIVATIONS[activation]())


@dataclass(frozen=True)
class Whole:
    """A setting that is a whole number of at least `least`."""

    default: int = 0
    least: int = 0


@dataclass(frozen=True)
class Number:
    """A setting that is a number of at least `least`."""

    default: float
    least: float = 0.0


@dataclass(frozen=True)
class Text:
    """A setting that is text which its cell reads."""

    default: str


Setting = tuple[Scalar, ...] | Whole | Number | Text


def extra_settings(block: Block, **allowed: Setting) -> dict[str, Any]:
    """A block's settings of its cell's own, by name: one of a few values, of which the first is
    the default, or a number, or text.

    Raises `InputError` for a key or value that the cell doesn't know.
    """
    given = dict(block.extra)
    for key in given:
        if key not in allowed:
            known = sorted({*allowed, *(f.name for f in fields(Block))} - {"extra"})
            raise one_of(f"cell {block.cell!r}: key", key, known)
    return {key: _setting(block, key, given, values) for key, values in allowed.items()}


def _setting(block: Block, key: str, given: Mapping[str, Scalar], allowed: Setting) -> Scalar:
    where = f"cell {block.cell!r}: {key}"
    if isinstance(allowed, Whole):
        value = given.get(key, allowed.default)
        checks.integer(where, value, allowed.least)
        return value
    if isinstance(allowed, Number):
        value = given.get(key, allowed.default)
        checks.number(where, value, allowed.least)
        return value
    if isinstance(allowed, Text):
        value = given.get(key, allowed.default)
        if not isinstance(value, str):
            raise InputError(f"{where} must be text, not {value!r}")
        return value
    value = given.get(key, allowed[0])
    # Python's True equals 1.
    if not any(
        value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed
    ):
        raise one_of(where, value, allowed)
    return value
