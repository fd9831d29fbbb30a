"""Max pooling [+ SE], as in the stem of a ResNet (arXiv 1512.03385, table 1)."""

from __future__ import annotations

from torch import nn

from search_space import Block, InputError
from senet_nas.nn.layers import extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk max pool [+SE]. Raises `InputError` where the block changes the width.

    extra: windows, `padded` by half of the kernel; `ceil`, without padding, of which the last may
    reach over the edge (Caffe's); `inside`, without padding; `apart`, which are as wide as the
    stride (VGG's; the kernel doesn't count); or `apart_ceil`, the same and over the edge.
    """

    def __init__(self, block: Block, in_channels: int):
        allowed = ("padded", "ceil", "inside", "apart", "apart_ceil")
        windows = extra_settings(block, windows=allowed)["windows"]
        if block.channels != in_channels:
            raise InputError(
                f"cell 'max_pool': channels must stay {in_channels}, not {block.channels}"
            )
        head = {
            "padded": nn.MaxPool2d(block.kernel, block.stride, block.kernel // 2),
            "ceil": nn.MaxPool2d(block.kernel, block.stride, ceil_mode=True),
            "inside": nn.MaxPool2d(block.kernel, block.stride),
            "apart": nn.MaxPool2d(block.stride),
            "apart_ceil": nn.MaxPool2d(block.stride, ceil_mode=True),
        }[windows]
        super().__init__(block, in_channels, head=head, head_channels=in_channels)
