"""Max pooling [+ SE], as in the stem of a ResNet (arXiv 1512.03385, table 1)."""

from __future__ import annotations

from torch import nn

from search_space import Block, InputError
from senet_nas.nn.layers import extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk max pool [+SE]. Raises `InputError` where the block changes the width."""

    def __init__(self, block: Block, in_channels: int):
        extra_settings(block)
        if block.channels != in_channels:
            raise InputError(
                f"cell 'max_pool': channels must stay {in_channels}, not {block.channels}"
            )
        head = nn.MaxPool2d(block.kernel, block.stride, block.kernel // 2)
        super().__init__(block, in_channels, head=head, head_channels=in_channels)
