"""The basic residual block (He et al., arXiv 1512.03385, figure 5, left)."""

from __future__ import annotations

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.layers import ACTIVATIONS, conv_norm, extra_settings, projection
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk, kxk [+SE]. expansion: inner width over output width."""

    def __init__(self, block: Block, in_channels: int):
        extra_settings(block)
        width = round_channels(block.channels * block.expansion)
        kernel, groups = block.kernel, block.groups
        super().__init__(
            block,
            in_channels,
            head=conv_norm(in_channels, width, kernel, block.stride, groups, block.activation),
            head_channels=width,
            tail=conv_norm(width, block.channels, kernel, groups=groups),
            shortcut=projection(in_channels, block.channels, block.stride),
            act=ACTIVATIONS[block.activation](),
        )
