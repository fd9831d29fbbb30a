"""ResNets with pre-activation (arXiv 1603.05027), and with SE on each residual branch as in the SE
paper: r = 16.

For CIFAR as in the authors' code: projections where the width changes, the stride in the first
1x1, the first pre-activation shared (appendix). For ImageNet as in timm: the stride in the 3x3.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.published.resnet import DEPTHS, WIDTHS
from search_space.values import SE, Architecture, Block, Head, Scalar, Stage


def stem(*, kernel: int, channels: int, stride: int) -> Block:
    """A convolution alone: the first unit brings its norm."""
    return Block("conv", channels, stride, kernel, activation="identity", extra=(("norm", "none"),))


def cifar_preresnet(depth: int, se: SE | None = None) -> Architecture:
    """Three stages of 18 blocks: basic ones at a depth of 110, bottlenecks at 164."""

    def block(width: int, stride: int, first: bool) -> Block:
        extra: tuple[tuple[str, Scalar], ...] = (("preactivates", "both"),) if first else ()
        if depth == 110:
            return Block("preact_basic", width, stride, se=se, extra=extra)
        extra = (*extra, ("stride_in", "first")) if stride > 1 else extra
        return Block("preact_bottleneck", 4 * width, stride, expansion=0.25, se=se, extra=extra)

    stages = tuple(
        Stage(tuple(block(width, 2 if n and not i else 1, not n and not i) for i in range(18)))
        for n, width in enumerate((16, 32, 64))
    )
    head = Head(blocks=(Block("norm_act", stages[-1].blocks[-1].channels),))
    return Architecture(Stage((stem(kernel=3, channels=16, stride=1),)), stages, head)


def preresnet(depth: int, se: SE | None = None) -> Architecture:
    """Bottlenecks in the stages of the ResNet of this depth."""
    stages = tuple(
        Stage(
            tuple(
                Block("preact_bottleneck", 4 * width, 2 if n and not i else 1, 3, 0.25, se=se)
                for i in range(blocks)
            )
        )
        for n, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True))
    )
    first = (stem(kernel=7, channels=64, stride=2), Block("max_pool", 64, stride=2))
    return Architecture(Stage(first), stages, Head(blocks=(Block("norm_act", 2048),)))


def architectures() -> Makers:
    """preresnet110 and 164 for CIFAR, preresnet50, 101 and 152, and each with `se_` before."""
    found: Makers = {}
    for prefix, se in (("", None), ("se_", SE(r=16))):
        for depth in (110, 164):
            found[f"{prefix}preresnet{depth}"] = partial(cifar_preresnet, depth, se)
        for depth in (50, 101, 152):
            found[f"{prefix}preresnet{depth}"] = partial(preresnet, depth, se)
    return found
