"""The inverted residual whose expansion and depthwise convolution are one (EfficientNet-EdgeTPU;
EfficientNetV2, arXiv 2104.00298, figure 2, right)."""

from __future__ import annotations

from torch import nn

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.layers import conv_norm, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk expand [+SE], 1x1 project, no activation after the sum.

    expansion: inner width over input width; at 1 the kxk alone is left, with its activation. A
    shortcut stands where stride is 1 and the width stays. The block's groups are the kxk's.
    extra: project, `always` for a 1x1 at expansion 1 too. shortcut, `none` for none anywhere.
    padding, `same` (half of the kernel) or `tf_same` (TensorFlow's, which depends on the map's
    size).
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block,
            project=("where_expanded", "always"),
            shortcut=("identity", "none"),
            padding=("same", "tf_same"),
        )
        projects = block.expansion != 1 or settings["project"] == "always"
        width = round_channels(in_channels * block.expansion) if projects else block.channels
        head = conv_norm(
            in_channels,
            width,
            block.kernel,
            block.stride,
            block.groups,
            block.activation,
            padding=settings["padding"],
        )
        keeps_shape = block.stride == 1 and in_channels == block.channels
        super().__init__(
            block,
            in_channels,
            head=head,
            head_channels=width,
            tail=conv_norm(width, block.channels) if projects else None,
            shortcut=nn.Identity() if keeps_shape and settings["shortcut"] == "identity" else None,
        )
