"""The inverted residual with a linear bottleneck (MobileNetV2, arXiv 1801.04381, section 3.3)."""

from __future__ import annotations

from torch import nn

from search_space import Block, InputError
from search_space.values import round_channels
from senet_nas.nn.layers import conv_norm, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """1x1 expand, kxk depthwise [+SE], 1x1 project, no activation after the sum.

    expansion: inner width over input width; at 1 the first 1x1 is left out. A shortcut stands
    where stride is 1 and the width stays. extra: expand, `always` for a first 1x1 at expansion 1
    too. shortcut, `none` for none anywhere. padding, `same` (half of the kernel) or `tf_same`
    (TensorFlow's, which depends on the map's size). Raises `InputError` for groups other than 1.
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block,
            expand=("where_wider", "always"),
            shortcut=("identity", "none"),
            padding=("same", "tf_same"),
        )
        if block.groups != 1:
            raise InputError(
                f"cell 'inverted_residual': groups must be 1 (it is depthwise), not {block.groups}"
            )
        width = round_channels(in_channels * block.expansion)
        act = block.activation
        layers = [
            conv_norm(
                width,
                width,
                block.kernel,
                block.stride,
                width,
                act,
                padding=settings["padding"],
            )
        ]
        if block.expansion != 1 or settings["expand"] == "always":
            layers.insert(0, conv_norm(in_channels, width, activation=act))
        keeps_shape = block.stride == 1 and in_channels == block.channels
        super().__init__(
            block,
            in_channels,
            head=nn.Sequential(*layers),
            head_channels=width,
            tail=conv_norm(width, block.channels),
            shortcut=nn.Identity() if keeps_shape and settings["shortcut"] == "identity" else None,
        )
