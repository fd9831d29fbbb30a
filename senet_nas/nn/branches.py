"""Parallel branches, concatenated, and the text that says what is in them; channel shuffles.

Inception modules: arXiv 1409.4842 (figure 2b), 1502.03167 (appendix), 1602.07261 (figures 16 to
19). Shuffles: arXiv 1707.01083 (figure 1c).

`1x1-64, 1x1-64 kxk-96, avg 1x1-32` are three branches, of layers in the order in which they run.
A layer is a convolution with norm and activation, its size and its width (k is the block's
kernel; `1x1` at the start of a branch reduces the width), or a pooling over 3x3: `max`, `avg`
(the mean of what is inside of the map), `padded_avg` (zeros around the map count, as in Caffe).
`1x3-64+3x1-64` are two convolutions of one input, put together (figure 15 of 1602.07261).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space import Block, InputError
from search_space.errors import one_of
from senet_nas.nn.layers import conv_norm

POOLINGS = ("max", "avg", "padded_avg")
POOL_SIZE = 3
CONVOLUTION = re.compile(r"(\d+|k)x(\d+|k)-(\d+)")

Size = tuple[int, int]


class Branches(nn.ModuleList):
    """x to the outputs of all modules for x, concatenated along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class Channels(nn.Module):
    """x: (N, C, H, W) to its channels from `start` up to `stop`."""

    def __init__(self, start: int, stop: int):
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.stop]


class ChannelShuffle(nn.Module):
    """Channel number i of group g becomes number g of group i."""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(x.chunk(self.groups, 1), 2).flatten(1, 2)


class Pool(nn.Module):
    """A pooling whose output is as large as a padded convolution's of the same stride.

    Padding is at both sides where it is even, and one more behind: on maps of even size and at
    stride 2 that is Caffe's pooling without padding, whose last window reaches over the edge.
    """

    def __init__(self, kind: str, stride: int, valid: bool = False):
        super().__init__()
        self.kind, self.stride = kind, stride
        self.padding = 0 if valid else "same"
        self.kernel_size = POOL_SIZE if valid else max(POOL_SIZE, stride)

    def forward(self, x: Tensor) -> Tensor:
        padding, over = (0, 0), False
        if self.padding == "same":
            padding, over = (self._before(x.shape[-2]), self._before(x.shape[-1])), self.stride > 1
        if self.kind == "max":
            return F.max_pool2d(x, self.kernel_size, self.stride, padding, ceil_mode=over)
        counted = self.kind == "padded_avg"
        return F.avg_pool2d(x, self.kernel_size, self.stride, padding, over, counted)

    def _before(self, length: int) -> int:
        """Padding in front of a side of this length."""
        return (self.kernel_size - 1 - (length - 1) % self.stride) // 2

    def extra_repr(self) -> str:
        return f"{self.kind}, {self.kernel_size}, stride={self.stride}, padding={self.padding}"


@dataclass(frozen=True)
class Layer:
    """One layer of a branch: a convolution, or several of one input, of which `beside` are the
    others; or a pooling, which keeps the width."""

    size: Size
    channels: int = 0
    pooling: str = ""
    beside: tuple[Layer, ...] = ()

    def together(self) -> tuple[Layer, ...]:
        """The convolutions of one input."""
        return (self, *self.beside)


def parse_branches(cell: str, text: str, kernel: int) -> list[list[Layer]]:
    """The branches that a text describes. Raises `InputError` for what isn't a layer."""
    return [
        [_parse_layer(cell, word, kernel) for word in branch.split()] for branch in text.split(",")
    ]


def _parse_layer(cell: str, word: str, kernel: int) -> Layer:
    if word in POOLINGS:
        return Layer((POOL_SIZE, POOL_SIZE), pooling=word)
    if "+" in word:
        first, *others = (_parse_convolution(cell, part, kernel) for part in word.split("+"))
        return replace(first, beside=tuple(others))
    return _parse_convolution(cell, word, kernel)


def _parse_convolution(cell: str, word: str, kernel: int) -> Layer:
    found = CONVOLUTION.fullmatch(word)
    if found is None:
        allowed = ("RxC-WIDTH with R and C odd numbers or k", *POOLINGS)
        raise one_of(f"cell {cell!r}: branches: layer", word, allowed)
    rows, columns = (kernel if side == "k" else int(side) for side in found.groups()[:2])
    width = int(found[3])
    if rows % 2 == 0 or columns % 2 == 0 or width < 1:
        raise InputError(
            f"cell {cell!r}: branches: {word!r} needs odd sizes and a width of at least 1"
        )
    return Layer((rows, columns), width)


def build_branches(
    block: Block, in_channels: int, text: str, valid: bool = False
) -> tuple[Branches, int]:
    """The branches of a text, and the width of their outputs together.

    The stride stands in the last layer of each branch that is larger than 1x1, or else in its
    last one. valid: that layer has no padding, at stride 1 too. The block's groups are those of
    convolutions larger than 1x1.
    """
    where = f"cell {block.cell!r}: branches"
    parsed = parse_branches(block.cell, text, block.kernel)
    if not all(parsed):
        raise InputError(f"{where}: one of {text!r} has no layers")
    strided = [_strided_layer(branch) for branch in parsed]
    sizes = {
        one.size
        for branch, index in zip(parsed, strided, strict=True)
        for one in branch[index].together()
    }
    if valid and len(sizes) > 1:
        raise InputError(f"{where}: with padding = 'valid' the layers with the stride in {text!r} "
                         "must be of one size")  # fmt: skip
    modules: list[nn.Module] = []
    total = 0
    for branch, index in zip(parsed, strided, strict=True):
        module, width = _build_branch(block, in_channels, branch, index, valid)
        modules.append(module)
        total += width
    return Branches(modules), total


def _strided_layer(branch: Iterable[Layer]) -> int:
    layers = list(branch)
    large = [index for index, layer in enumerate(layers) if layer.size != (1, 1)]
    return large[-1] if large else len(layers) - 1


def _build_branch(
    block: Block, width: int, branch: list[Layer], strided: int, valid: bool
) -> tuple[nn.Module, int]:
    modules: list[nn.Module] = []
    for index, layer in enumerate(branch):
        here = index == strided
        stride = block.stride if here else 1
        if layer.pooling:
            modules.append(Pool(layer.pooling, stride, valid and here))
            continue
        padding = "valid" if valid and here else "same"
        convolutions = [
            conv_norm(
                width,
                one.channels,
                one.size,
                stride,
                1 if one.size == (1, 1) else block.groups,
                block.activation,
                padding=padding,
            )
            for one in layer.together()
        ]
        modules.append(convolutions[0] if not layer.beside else Branches(convolutions))
        width = sum(one.channels for one in layer.together())
    return nn.Sequential(*modules), width
