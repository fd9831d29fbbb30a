"""RegNetX-200MF and RegNetY-200MF (arXiv 2003.13678; widths and depths as in pycls and timm): the
second is the first with SE after each 3x3, hidden width a quarter of the block's input."""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Stage

# Width, blocks.
STAGES_200MF = ((24, 1), (56, 1), (152, 4), (368, 7))
GROUP_WIDTH = 8
SQUEEZE = SE(r=4, placement="conv3x3", base="input")


def regnet_200mf(se: SE | None = None) -> Architecture:
    """Bottlenecks that don't narrow, in groups of 8 channels; each stage begins with a stride."""
    stages = tuple(
        Stage(
            tuple(
                Block("bottleneck", width, 1 if i else 2, groups=width // GROUP_WIDTH, se=se)
                for i in range(blocks)
            )
        )
        for width, blocks in STAGES_200MF
    )
    return Architecture(Stage((Block("conv", 32, stride=2),)), stages)


def architectures() -> Makers:
    """regnetx_200mf, regnety_200mf, and se_regnetx_200mf, which equals the latter."""
    return {
        "regnetx_200mf": regnet_200mf,
        "regnety_200mf": partial(regnet_200mf, SQUEEZE),
        "se_regnetx_200mf": partial(regnet_200mf, SQUEEZE),
    }
