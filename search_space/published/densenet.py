"""DenseNet-BC for ImageNet (arXiv 1608.06993, table 1), and with SE on what each layer adds, before
it is put behind the rest (standard), r = 16."""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Layers in each of the four blocks.
DEPTHS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
GROWTH, BOTTLENECK, STEM_WIDTH = 32, 4, 64


def densenet(depth: int, se: SE | None = None) -> Architecture:
    """Each block but the first begins with a transition that halves the width and the map."""
    width = STEM_WIDTH
    stages = []
    for number, layers in enumerate(DEPTHS[depth]):
        blocks = []
        if number:
            width //= 2
            blocks.append(Block("dense_transition", width, stride=2))
        for _ in range(layers):
            width += GROWTH
            blocks.append(Block("dense_layer", width, expansion=BOTTLENECK, se=se))
        stages.append(Stage(tuple(blocks)))
    stem = (
        Block("conv", STEM_WIDTH, stride=2, kernel=7),
        Block("max_pool", STEM_WIDTH, stride=2),
    )
    return Architecture(Stage(stem), tuple(stages), Head((Block("norm_act", width),)))


def architectures() -> Makers:
    """densenet121, 169, 201, and each with `se_` before."""
    return {
        f"{prefix}densenet{depth}": partial(densenet, depth, se)
        for prefix, se in (("", None), ("se_", SE(r=16)))
        for depth in DEPTHS
    }
