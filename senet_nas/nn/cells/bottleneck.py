"""The bottleneck residual block (He et al., arXiv 1512.03385, figure 5, right), with groups as
in ResNeXt (arXiv 1611.05431, figure 3c)."""

from __future__ import annotations

from torch import nn

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.layers import (
    ACTIVATIONS,
    SHORTCUTS,
    Whole,
    conv_norm,
    extra_settings,
    projection,
)
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """1x1, kxk, 1x1 [+SE]. expansion: inner width over output width.

    extra: stride_in, where the stride stands: `kernel` (torchvision's and timm's ResNets) or
    `first`, the first 1x1 (the original's, and the SE paper's). As in SENet-154: first_divisor,
    of the inner width, for the width of the first 1x1; projection_kernel, of a projection that
    has a stride. shortcut, where it is no identity: `projection`, or `avg`, which averages before
    it (ResNet-D).
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block,
            stride_in=("kernel", "first"),
            first_divisor=Whole(1, least=1),
            projection_kernel=(1, 3),
            shortcut=SHORTCUTS,
        )
        at_first = settings["stride_in"] == "first"
        first, spatial = (block.stride, 1) if at_first else (1, block.stride)
        width = round_channels(block.channels * block.expansion)
        first_width = round_channels(width / settings["first_divisor"])
        act = block.activation
        head = nn.Sequential(
            conv_norm(in_channels, first_width, stride=first, activation=act),
            conv_norm(first_width, width, block.kernel, spatial, block.groups, act),
        )
        projection_kernel = settings["projection_kernel"] if block.stride > 1 else 1
        super().__init__(
            block,
            in_channels,
            head=head,
            head_channels=width,
            tail=conv_norm(width, block.channels),
            shortcut=projection(
                in_channels,
                block.channels,
                block.stride,
                projection_kernel,
                averaged=settings["shortcut"] == "avg",
            ),
            act=ACTIVATIONS[act](),
        )
