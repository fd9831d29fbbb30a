"""The basic residual block (He et al., arXiv 1512.03385, figure 5, left)."""

from __future__ import annotations

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.layers import ACTIVATIONS, SHORTCUTS, conv_norm, extra_settings, projection
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk, kxk [+SE]. expansion: inner width over output width.

    extra: shortcut, where it is no identity: `projection`, or `avg`, which averages before it
    (ResNet-D). branch: `linear`, or `activated` before the sum (and before SE at `standard`), as
    in the SE paper's released SE-ResNet-18 and 34.
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(block, shortcut=SHORTCUTS, branch=("linear", "activated"))
        last = block.activation if settings["branch"] == "activated" else "identity"
        width = round_channels(block.channels * block.expansion)
        kernel, groups = block.kernel, block.groups
        super().__init__(
            block,
            in_channels,
            head=conv_norm(in_channels, width, kernel, block.stride, groups, block.activation),
            head_channels=width,
            tail=conv_norm(width, block.channels, kernel, groups=groups, activation=last),
            shortcut=projection(
                in_channels,
                block.channels,
                block.stride,
                averaged=settings["shortcut"] == "avg",
            ),
            act=ACTIVATIONS[block.activation](),
        )
