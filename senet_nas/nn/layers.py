"""What cells are made of: convolution with batch norm, activations, checks of a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch.nn.functional as F
from torch import Tensor, nn

from search_space import Block, InputError
from search_space.errors import one_of

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


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: str = "identity",
) -> nn.Sequential:
    """Convolution (padding kernel // 2, no bias), batch norm, activation.

    Raises `InputError` where the groups don't divide both widths.
    """
    if in_channels % groups or out_channels % groups:
        raise InputError(
            f"groups = {groups} does not divide the widths {in_channels} and {out_channels}"
        )
    narrow = kernel == 1 and stride > 1 and in_channels < ONEDNN_BLOCK
    make = SubsampledPointwise if narrow else nn.Conv2d
    layers: list[nn.Module] = [
        make(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if activation != "identity":
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The shortcut of a residual unit: the identity where shapes agree, else a 1x1 convolution
    with norm (arXiv 1512.03385, section 3.3, option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv_norm(in_channels, out_channels, stride=stride)


def extra_settings(block: Block, **allowed: tuple[str, ...]) -> dict[str, str]:
    """A block's settings of its cell's own; each default is the first value allowed.

    Raises `InputError` for a key or value that the cell doesn't know.
    """
    given = dict(block.extra)
    for key, value in given.items():
        if key not in allowed:
            known = sorted({*allowed, *(f.name for f in fields(Block))} - {"extra"})
            raise one_of(f"cell {block.cell!r}: key", key, known)
        if value not in allowed[key]:
            raise one_of(f"cell {block.cell!r}: {key}", value, allowed[key])
    return {key: str(given.get(key, values[0])) for key, values in allowed.items()}
