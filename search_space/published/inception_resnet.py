"""Inception-ResNet-v2 (arXiv 1602.07261) as its authors released it, for images of 299 pixels,
and with SE, r = 16: on each residual branch before it is added, and on the output of each module
without a shortcut.

The released network is smaller than the paper's figures: its stem is that of Inception-v3, and
the widths are those of timm's `inception_resnet_v2`, from which it doesn't differ.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

VALID = (("padding", "valid"),)
INSIDE = (("windows", "inside"),)
STEM = Stage(
    (
        Block("conv", 32, stride=2, extra=VALID),
        Block("conv", 32, extra=VALID),
        Block("conv", 64),
        Block("max_pool", 64, stride=2, extra=INSIDE),
        Block("conv", 80, kernel=1),
        Block("conv", 192, extra=VALID),
        Block("max_pool", 192, stride=2, extra=INSIDE),
    )
)


def inception_resnet_v2(se: SE | None = None) -> Architecture:
    """10, 20 and 10 residual units (figures 16, 17, 19), the last of which ends linear."""

    def module(channels: int, branches: str, stride: int = 1) -> Block:
        extra = (("branches", branches), *(VALID if stride > 1 else ()))
        return Block("inception", channels, stride, se=se, extra=extra)

    def residual(
        channels: int, kernel: int, branches: str, scale: float, last: str = "activated"
    ) -> Block:
        extra = (("branches", branches), ("scale", scale), ("last", last))
        return Block("inception_residual", channels, kernel=kernel, se=se, extra=extra)

    first = module(320, "1x1-96, 1x1-48 5x5-64, 1x1-64 3x3-96 3x3-96, avg 1x1-64")
    block35 = residual(320, 3, "1x1-32, 1x1-32 kxk-32, 1x1-32 kxk-48 kxk-64", 0.17)
    reduction_a = module(1088, "3x3-384, 1x1-256 3x3-256 3x3-384, max", stride=2)
    block17 = residual(1088, 7, "1x1-192, 1x1-128 1xk-160 kx1-192", 0.1)
    reduction_b = module(
        2080, "1x1-256 3x3-384, 1x1-256 3x3-288, 1x1-256 3x3-288 3x3-320, max", stride=2
    )
    eight = "1x1-192, 1x1-192 1xk-224 kx1-256"
    block8 = residual(2080, 3, eight, 0.2)
    linear = residual(2080, 3, eight, 1.0, "linear")
    return Architecture(
        STEM,
        (
            Stage((first, *(block35,) * 10)),
            Stage((reduction_a, *(block17,) * 20)),
            Stage((reduction_b, *(block8,) * 9, linear)),
        ),
        Head(blocks=(Block("conv", 1536, kernel=1),), dropout=0.2),
        norm_eps=1e-3,
    )


def architectures() -> Makers:
    """inception_resnet_v2, se_inception_resnet_v2."""
    return {
        "inception_resnet_v2": inception_resnet_v2,
        "se_inception_resnet_v2": partial(inception_resnet_v2, SE(r=16)),
    }
