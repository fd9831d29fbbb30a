"""Units whose norm and activation stand before their convolutions (arXiv 1603.05027, figure 4e)."""

from __future__ import annotations

from torch import nn

from search_space import Block
from senet_nas.nn.layers import norm_act, projection
from senet_nas.nn.placement import Unit

# Of the setting `preactivates`.
PREACTIVATES = ("branch", "both")


class PreactivatedUnit(Unit):
    """y = s(x) + t(h(x)), without an activation after the sum; h begins with the pre-activation p.

    A projection (a 1x1 convolution alone) reads p(x) too, as in the code of the paper and of Wide
    ResNets. There p is the unit's entry: the two share one norm, and the equations of
    `placement.py` hold of p(x). `pre` thus gates what the branch's first convolution reads where
    there is a projection, and what its norm reads where there is none; the shortcut reads x or
    p(x) ungated.

    head: h without p. preactivates: `both` shares p with an identity as well, as the first unit
    of a network has it (appendix of the paper). averaged: the projection is of averages (ResNet-D).
    """

    def __init__(
        self,
        block: Block,
        in_channels: int,
        *,
        head: nn.Sequential,
        head_channels: int,
        tail: nn.Module,
        preactivates: str,
        averaged: bool = False,
    ):
        keeps_shape = block.stride == 1 and in_channels == block.channels
        shared = preactivates == "both" or not keeps_shape
        preactivation = norm_act(in_channels, block.activation)
        super().__init__(
            block,
            in_channels,
            entry=preactivation if shared else None,
            head=head if shared else nn.Sequential(preactivation, *head),
            head_channels=head_channels,
            tail=tail,
            shortcut=projection(
                in_channels, block.channels, block.stride, averaged=averaged, norm=False
            ),
        )
