"""Wide ResNets for CIFAR (arXiv 1605.07146, table 1: blocks B(3, 3), without dropout), and with SE
on each residual branch as in the SE paper: r = 16."""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage


def wide_resnet(depth: int, width: int, se: SE | None = None) -> Architecture:
    """depth = 6n + 4: three stages of n pre-activated blocks; width: times 16, 32 and 64."""
    blocks = (depth - 4) // 6
    widths = (16 * width, 32 * width, 64 * width)
    stages = tuple(
        Stage(
            tuple(
                Block("preact_basic", channels, stride=2 if n and not i else 1, se=se)
                for i in range(blocks)
            )
        )
        for n, channels in enumerate(widths)
    )
    stem = Stage((Block("conv", 16, activation="identity", extra=(("norm", "none"),)),))
    return Architecture(stem, stages, Head(blocks=(Block("norm_act", widths[-1]),)))


def architectures() -> Makers:
    """wrn_16_8, wrn_28_10, and each with `se_` before."""
    return {
        f"{prefix}wrn_{depth}_{width}": partial(wide_resnet, depth, width, se)
        for prefix, se in (("", None), ("se_", SE(r=16)))
        for depth, width in ((16, 8), (28, 10))
    }
