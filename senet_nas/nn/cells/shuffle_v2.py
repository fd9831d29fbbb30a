"""The ShuffleNetV2 unit (arXiv 1807.11164, figures 3c and 3d)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space import Block, InputError
from search_space.values import round_channels
from senet_nas.nn.branches import Channels, ChannelShuffle
from senet_nas.nn.layers import conv_norm, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """Half of x stays; 1x1, kxk depthwise, 1x1 [+SE] on the other; put together and shuffled.

    With a stride, or where the width changes, both branches read all of x, and the first is kxk
    depthwise, 1x1. expansion: inner width over the branch's (1 in the paper). Raises `InputError`
    for an odd width and for groups other than 1.
    """

    def __init__(self, block: Block, in_channels: int):
        extra_settings(block)
        if block.groups != 1:
            raise InputError(
                f"cell 'shuffle_v2': groups must be 1 (it is depthwise), not {block.groups}"
            )
        if block.channels % 2:
            raise InputError(f"cell 'shuffle_v2': channels must be even, not {block.channels}")
        half, act = block.channels // 2, block.activation
        width = round_channels(half * block.expansion)
        splits = block.stride == 1 and in_channels == block.channels
        shortcut: nn.Module = Channels(0, half)
        layers: list[nn.Module] = []
        if splits:
            layers.append(Channels(half, block.channels))
        else:
            shortcut = nn.Sequential(
                conv_norm(in_channels, in_channels, block.kernel, block.stride, in_channels),
                conv_norm(in_channels, half, activation=act),
            )
        layers += [
            conv_norm(half if splits else in_channels, width, activation=act),
            conv_norm(width, width, block.kernel, block.stride, width),
        ]
        super().__init__(
            block,
            in_channels,
            head=nn.Sequential(*layers),
            head_channels=width,
            tail=conv_norm(width, half, activation=act),
            shortcut=shortcut,
            act=ChannelShuffle(2),
            branch_channels=half,
            shortcut_channels=half,
        )

    def together(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        return torch.cat((shortcut, branch), dim=1)
