"""The layer of a densely connected network with bottleneck (DenseNet-B, arXiv 1608.06993,
section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space import Block, InputError
from search_space.values import round_channels
from senet_nas.nn.layers import conv_norm, extra_settings, norm_act
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """1x1, kxk [+SE], each after norm and activation: it makes the channels that x lacks, which
    are put behind those of x.

    expansion: inner width over the width that is added (4 in the paper). Raises `InputError`
    where the width doesn't grow, and for a stride or groups other than 1.
    """

    def __init__(self, block: Block, in_channels: int):
        extra_settings(block)
        growth = block.channels - in_channels
        if growth < 1:
            raise InputError(
                f"cell 'dense_layer': channels must be above the input's {in_channels}, "
                f"not {block.channels}"
            )
        if (block.stride, block.groups) != (1, 1):
            raise InputError(
                f"cell 'dense_layer': stride and groups must be 1, "
                f"not {block.stride} and {block.groups}"
            )
        width = round_channels(growth * block.expansion)
        super().__init__(
            block,
            in_channels,
            head=nn.Sequential(
                norm_act(in_channels, block.activation),
                conv_norm(in_channels, width, activation=block.activation),
            ),
            head_channels=width,
            tail=conv_norm(width, growth, block.kernel, norm=False),
            shortcut=nn.Identity(),
            branch_channels=growth,
            shortcut_channels=in_channels,
        )

    def together(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        return torch.cat((shortcut, branch), dim=1)
