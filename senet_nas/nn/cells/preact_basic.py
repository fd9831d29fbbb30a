"""The basic residual block with pre-activation (He et al., arXiv 1603.05027, figure 4e), of Wide
ResNets too (arXiv 1605.07146, figure 1c)."""

from __future__ import annotations

from torch import nn

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.layers import SHORTCUTS, conv_norm, extra_settings
from senet_nas.nn.preactivation import PREACTIVATES, PreactivatedUnit


class Cell(PreactivatedUnit):
    """kxk, kxk [+SE], each after its norm and activation. expansion: inner over output width.

    extra: preactivates, what reads the first norm and activation: `branch`, and the shortcut
    where it is a projection; or `both`. shortcut, where it is no identity: `projection`, or `avg`,
    which averages before it (ResNet-D).
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(block, preactivates=PREACTIVATES, shortcut=SHORTCUTS)
        width = round_channels(block.channels * block.expansion)
        kernel, groups = block.kernel, block.groups
        first = conv_norm(in_channels, width, kernel, block.stride, groups, block.activation)
        super().__init__(
            block,
            in_channels,
            head=nn.Sequential(first),
            head_channels=width,
            tail=conv_norm(width, block.channels, kernel, groups=groups, norm=False),
            preactivates=settings["preactivates"],
            averaged=settings["shortcut"] == "avg",
        )
