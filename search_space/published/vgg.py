"""VGG (arXiv 1409.1556, table 1, columns A, B, D and E) with batch norm as in torchvision, whose
convolutions keep their biases; and with SE after the ReLU of each convolution, r = 16.

As nothing follows the ReLU, the placement `standard` is `post` there.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Convolutions in each of the five stages.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


def vgg(depth: int, se: SE | None = None, norm: str = "batch") -> Architecture:
    """norm: `batch`, or `none` as in the paper."""
    extra = (("bias", True), ("norm", norm))

    def stage(convolutions: int, width: int) -> Stage:
        pool = Block("max_pool", width, stride=2, extra=(("windows", "apart"),))
        return Stage((*[Block("conv", width, se=se, extra=extra)] * convolutions, pool))

    first, *others = map(stage, DEPTHS[depth], WIDTHS)
    dense = Block("dense", 4096, kernel=7, extra=(("dropout_percent", 50),))
    return Architecture(first, tuple(others), Head((dense,), hidden=4096, dropout=0.5))


def architectures() -> Makers:
    """vgg11, 13, 16, 19, each with `_no_norm` behind it, and each of these with `se_` before."""
    return {
        f"{prefix}vgg{depth}{suffix}": partial(vgg, depth, se, norm)
        for prefix, se in (("", None), ("se_", SE(r=16)))
        for suffix, norm in (("", "batch"), ("_no_norm", "none"))
        for depth in DEPTHS
    }
