"""SENet-154, the authors' entry to the challenge of 2017 (arXiv 1709.01507, appendix; released
model): ResNeXt-152 64x4d with the first 1x1 halved, a stem of three 3x3, 3x3 projections where
there is a stride, and SE with r = 16 on each residual branch."""

from __future__ import annotations

from search_space.published import Makers
from search_space.published.resnet import DEPTHS, WIDTHS
from search_space.values import SE, Architecture, Block, Head, Stage

EXTRA = (("first_divisor", 2), ("projection_kernel", 3))


def senet154() -> Architecture:
    """Pooling without padding, and its last window over the edge, as in the released model."""
    stages = tuple(
        Stage(
            tuple(
                Block("bottleneck", 4 * width, stride, groups=64, se=SE(r=16), extra=EXTRA)
                for stride in (2 if n else 1, *[1] * (blocks - 1))
            )
        )
        for n, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[152], strict=True))
    )
    stem = (
        Block("conv", 64, stride=2),
        Block("conv", 64),
        Block("conv", 128),
        Block("max_pool", 128, stride=2, extra=(("windows", "ceil"),)),
    )
    return Architecture(Stage(stem), stages, Head(dropout=0.2))


def architectures() -> Makers:
    """senet154."""
    return {"senet154": senet154}
