"""What stands between two blocks of a densely connected network (DenseNet-C, arXiv 1608.06993,
section 3)."""

from __future__ import annotations

from torch import nn

from search_space import Block, InputError
from senet_nas.nn.layers import conv_norm, extra_settings, norm_act
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """Norm, activation, 1x1, average pooling as wide as the stride [+SE].

    The block's kernel and expansion don't count. Raises `InputError` for groups other than 1.
    """

    def __init__(self, block: Block, in_channels: int):
        extra_settings(block)
        if block.groups != 1:
            raise InputError(f"cell 'dense_transition': groups must be 1, not {block.groups}")
        head = nn.Sequential(
            norm_act(in_channels, block.activation),
            conv_norm(in_channels, block.channels, norm=False),
            nn.AvgPool2d(block.stride),
        )
        super().__init__(block, in_channels, head=head, head_channels=block.channels)
