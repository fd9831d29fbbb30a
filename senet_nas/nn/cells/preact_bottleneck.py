"""The bottleneck residual block with pre-activation (He et al., arXiv 1603.05027, figure 4e)."""

from __future__ import annotations

from torch import nn

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.layers import SHORTCUTS, conv_norm, extra_settings
from senet_nas.nn.preactivation import PREACTIVATES, PreactivatedUnit


class Cell(PreactivatedUnit):
    """1x1, kxk, 1x1 [+SE], each after its norm and activation. expansion: inner over output width.

    extra: stride_in, where the stride stands: `kernel`, or `first`, the first 1x1 (the paper's
    code). preactivates, what reads the first norm and activation: `branch`, and the shortcut
    where it is a projection; or `both`. shortcut, where it is no identity: `projection`, or `avg`,
    which averages before it (ResNet-D).
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block,
            stride_in=("kernel", "first"),
            preactivates=PREACTIVATES,
            shortcut=SHORTCUTS,
        )
        at_first = settings["stride_in"] == "first"
        first, spatial = (block.stride, 1) if at_first else (1, block.stride)
        width = round_channels(block.channels * block.expansion)
        act = block.activation
        head = nn.Sequential(
            conv_norm(in_channels, width, stride=first, activation=act),
            conv_norm(width, width, block.kernel, spatial, block.groups, act),
        )
        super().__init__(
            block,
            in_channels,
            head=head,
            head_channels=width,
            tail=conv_norm(width, block.channels, norm=False),
            preactivates=settings["preactivates"],
            averaged=settings["shortcut"] == "avg",
        )
