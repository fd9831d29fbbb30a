"""ResNet (arXiv 1512.03385) and ResNeXt (arXiv 1611.05431) for ImageNet, with SE as in table 1
of the SE paper: in every block, r = 16. The stride stands in the 3x3, as in torchvision."""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Stage

DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
WIDTHS = (64, 128, 256, 512)
STEM = Stage(
    (Block("conv", 64, stride=2, kernel=7), Block("max_pool", 64, stride=2)),
)


def resnet(depth: int, se: SE | None = None, groups: int = 1, base_width: int = 64) -> Architecture:
    """base_width: the inner width in the first stage, for a group of one (ResNeXt: a group's)."""

    def block(width: int, stride: int) -> Block:
        if depth < 50:
            return Block("basic", width, stride, se=se)
        expansion = groups * base_width / 64 / 4
        return Block("bottleneck", 4 * width, stride, 3, expansion, groups, se=se)

    stages = tuple(
        Stage(tuple(block(width, 2 if n and not i else 1) for i in range(blocks)))
        for n, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True))
    )
    return Architecture(STEM, stages)


def architectures() -> Makers:
    """resnet18 to resnet152, resnext50_32x4d, resnext101_32x4d, and each with `se_` before."""
    found: Makers = {}
    for prefix, se in (("", None), ("se_", SE(r=16))):
        for depth in DEPTHS:
            found[f"{prefix}resnet{depth}"] = partial(resnet, depth, se)
        for depth in (50, 101):
            found[f"{prefix}resnext{depth}_32x4d"] = partial(resnet, depth, se, 32, 4)
    return found
