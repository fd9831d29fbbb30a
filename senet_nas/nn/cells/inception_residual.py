"""The residual Inception unit (Inception-ResNet, arXiv 1602.07261, figures 16, 17 and 19)."""

from __future__ import annotations

from torch import Tensor

from search_space import Block
from search_space.values import round_channels
from senet_nas.nn.branches import build_branches
from senet_nas.nn.layers import (
    ACTIVATIONS,
    Number,
    Text,
    conv_norm,
    extra_settings,
    projection,
)
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """Branches concatenated, 1x1 without norm [+SE], scaled and added to the shortcut.

    y = a(s(x) + scale * t(h(x))). extra: branches, as `senet_nas.nn.branches` reads them; where
    they aren't given, a 1x1, a kxk and two kxk (figure 16) of the inner width together, which is
    the expansion times the channels. scale: of the branch (section 3.3). last: `linear`, where no
    activation follows the sum.
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block,
            branches=Text(default_branches(block)),
            scale=Number(1.0, least=0.0),
            last=("activated", "linear"),
        )
        head, width = build_branches(block, in_channels, settings["branches"])
        last = block.activation if settings["last"] == "activated" else "identity"
        super().__init__(
            block,
            in_channels,
            head=head,
            head_channels=width,
            tail=conv_norm(width, block.channels, bias=True, norm=False),
            shortcut=projection(in_channels, block.channels, block.stride),
            act=ACTIVATIONS[last](),
        )
        self.scale = float(settings["scale"])

    def together(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """The branch is scaled last, so that SE reads it as it is."""
        return shortcut + self.scale * branch


def default_branches(block: Block) -> str:
    """Branches for a block that doesn't say which."""
    inner = max(4, round_channels(block.channels * block.expansion))
    quarter = inner // 4
    half = inner - 2 * quarter
    return f"1x1-{quarter}, 1x1-{quarter} kxk-{quarter}, 1x1-{quarter} kxk-{quarter} kxk-{half}"
