"""ResNet for CIFAR (arXiv 1512.03385, section 4.2) with projection shortcuts, and with SE."""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Stage


def cifar_resnet(depth: int, se: SE | None = None) -> Architecture:
    """depth = 6n + 2: three stages of n basic blocks, 16, 32 and 64 wide."""
    blocks = (depth - 2) // 6
    stages = tuple(
        Stage(
            tuple(
                Block("basic", width, stride=2 if width > 16 and not i else 1, se=se)
                for i in range(blocks)
            )
        )
        for width in (16, 32, 64)
    )
    return Architecture(Stage((Block("conv", 16),)), stages)


def architectures() -> Makers:
    """cifar_resnet20, 32, 44, 56, 110, and each with `se_` before."""
    return {
        f"{prefix}cifar_resnet{depth}": partial(cifar_resnet, depth, se)
        for prefix, se in (("", None), ("se_", SE(r=16)))
        for depth in (20, 32, 44, 56, 110)
    }
