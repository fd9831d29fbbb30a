"""The ShuffleNet unit (arXiv 1707.01083, figures 2b and 2c)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space import Block, InputError
from search_space.values import round_channels
from senet_nas.nn.branches import ChannelShuffle
from senet_nas.nn.layers import ACTIVATIONS, conv_norm, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """1x1 in groups, shuffle, kxk depthwise, 1x1 in groups [+SE].

    Where the width stays, the branch is added to x; where it grows, it makes the channels that x
    lacks and is put behind them. x is averaged over 3x3 where there is a stride. expansion: inner
    width over output width (1/4 in the paper). extra: first, `dense`, where the first 1x1 has no
    groups. Raises `InputError` where the width shrinks or the groups don't divide the widths.
    """

    def __init__(self, block: Block, in_channels: int):
        dense = extra_settings(block, first=("grouped", "dense"))["first"] == "dense"
        if block.channels < in_channels:
            raise InputError(
                f"cell 'shuffle_v1': channels must be at least the input's {in_channels}, "
                f"not {block.channels}"
            )
        grows = block.channels > in_channels
        branch = block.channels - in_channels if grows else block.channels
        width = round_channels(block.channels * block.expansion)
        first_groups = 1 if dense else block.groups
        head = nn.Sequential(
            conv_norm(in_channels, width, groups=first_groups, activation=block.activation),
            ChannelShuffle(block.groups),
            conv_norm(width, width, block.kernel, block.stride, width),
        )
        super().__init__(
            block,
            in_channels,
            head=head,
            head_channels=width,
            tail=conv_norm(width, branch, groups=block.groups),
            shortcut=nn.AvgPool2d(3, block.stride, 1) if block.stride > 1 else nn.Identity(),
            act=ACTIVATIONS[block.activation](),
            branch_channels=branch,
            shortcut_channels=in_channels,
        )
        self.grows = grows

    def together(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        return torch.cat((shortcut, branch), dim=1) if self.grows else shortcut + branch
