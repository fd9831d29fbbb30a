"""The depthwise separable convolution (MobileNet, arXiv 1704.04861, figure 3, right)."""

from __future__ import annotations

from search_space import Block, InputError
from senet_nas.nn.layers import conv_norm, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk depthwise, 1x1 [+SE], each with norm and activation, without a shortcut.

    The block's expansion doesn't count. extra: padding, `same` (half of the kernel) or `tf_same`
    (TensorFlow's, which depends on the map's size). Raises `InputError` for groups other than 1.
    """

    def __init__(self, block: Block, in_channels: int):
        padding = extra_settings(block, padding=("same", "tf_same"))["padding"]
        if block.groups != 1:
            raise InputError(
                f"cell 'separable': groups must be 1 (it is depthwise), not {block.groups}"
            )
        act, width = block.activation, in_channels
        super().__init__(
            block,
            in_channels,
            head=conv_norm(width, width, block.kernel, block.stride, width, act, padding=padding),
            head_channels=in_channels,
            tail=conv_norm(in_channels, block.channels, activation=act),
        )
