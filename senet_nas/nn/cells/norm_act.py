"""Batch norm and activation [+ SE]: what ends a pre-activated network (arXiv 1603.05027)."""

from __future__ import annotations

from search_space import Block, InputError
from senet_nas.nn.layers import extra_settings, norm_act
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """Norm and activation [+SE]. The block's kernel and expansion don't count.

    Raises `InputError` where the block changes the width or has a stride.
    """

    def __init__(self, block: Block, in_channels: int):
        extra_settings(block)
        if (block.channels, block.stride) != (in_channels, 1):
            raise InputError(
                f"cell 'norm_act': channels must stay {in_channels} and the stride 1, "
                f"not {block.channels} and {block.stride}"
            )
        head = norm_act(in_channels, block.activation)
        super().__init__(block, in_channels, head=head, head_channels=in_channels)
