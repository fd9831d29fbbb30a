"""A fully connected layer over the whole map [+ SE], as after VGG's last convolution
(arXiv 1409.1556, table 1)."""

from __future__ import annotations

from torch import nn

from search_space import Block, InputError
from senet_nas.nn.layers import ACTIVATIONS, Whole, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """Average pooling to kxk, fully connected, activation, dropout [+SE]: (N, C, H, W) to
    (N, channels, 1, 1). The block's expansion doesn't count.

    extra: dropout_percent, 0 to 99. Raises `InputError` for a stride or groups other than 1.
    """

    def __init__(self, block: Block, in_channels: int):
        percent = extra_settings(block, dropout_percent=Whole())["dropout_percent"]
        if percent > 99:
            raise InputError(f"cell 'dense': dropout_percent must be at most 99, not {percent}")
        if (block.stride, block.groups) != (1, 1):
            raise InputError(
                f"cell 'dense': stride and groups must be 1, not {block.stride} and {block.groups}"
            )
        head = nn.Sequential(
            nn.AdaptiveAvgPool2d(block.kernel),
            nn.Flatten(),
            nn.Linear(in_channels * block.kernel**2, block.channels),
            ACTIVATIONS[block.activation](),
            nn.Dropout(percent / 100),
            nn.Unflatten(1, (block.channels, 1, 1)),
        )
        super().__init__(block, in_channels, head=head, head_channels=block.channels)
