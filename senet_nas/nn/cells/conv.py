"""k×k convolution, batch norm, activation [+ SE]: stems, heads, plain networks."""

from __future__ import annotations

from search_space import Block
from senet_nas.nn.layers import conv_norm, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk [+SE]. The block's expansion doesn't count.

    extra: bias, whether the convolution has one; norm, `batch` or `none`; padding, `same` (half
    of the kernel), `valid` (none) or `tf_same` (TensorFlow's, which depends on the map's size).
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block,
            bias=(False, True),
            norm=("batch", "none"),
            padding=("same", "valid", "tf_same"),
        )
        head = conv_norm(
            in_channels,
            block.channels,
            block.kernel,
            block.stride,
            block.groups,
            block.activation,
            bias=settings["bias"],
            norm=settings["norm"] == "batch",
            padding=settings["padding"],
        )
        super().__init__(block, in_channels, head=head, head_channels=block.channels)
