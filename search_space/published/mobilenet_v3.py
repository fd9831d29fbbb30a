"""MobileNetV3 (arXiv 1905.02244, tables 1 and 2): SE after some depthwise convolutions, hidden
width a quarter of theirs rounded to a multiple of 8, hard-sigmoid gates.

The norms add 1e-3, as in the authors' TensorFlow code and in torchvision; timm's add 1e-5.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Kernel, expanded width, channels, whether SE stands, activation, stride: a row a block. A stage
# ends where the resolution or the width changes.
Row = tuple[int, int, int, bool, str, int]
LARGE: tuple[tuple[Row, ...], ...] = (
    ((3, 16, 16, False, "relu", 1),),
    ((3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1)),
    ((5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1)),
    (
        (3, 240, 80, False, "hard_swish", 2),
        (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
    ),
    ((3, 480, 112, True, "hard_swish", 1), (3, 672, 112, True, "hard_swish", 1)),
    (
        (5, 672, 160, True, "hard_swish", 2),
        (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    ),
)
SMALL: tuple[tuple[Row, ...], ...] = (
    ((3, 16, 16, True, "relu", 2),),
    ((3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1)),
    (
        (5, 96, 40, True, "hard_swish", 2),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 240, 40, True, "hard_swish", 1),
    ),
    ((5, 120, 48, True, "hard_swish", 1), (5, 144, 48, True, "hard_swish", 1)),
    (
        (5, 288, 96, True, "hard_swish", 2),
        (5, 576, 96, True, "hard_swish", 1),
        (5, 576, 96, True, "hard_swish", 1),
    ),
)
SQUEEZE = SE(r=4, placement="conv3x3", excitation="hard_sigmoid", divisor=8)


def mobilenet_v3(rows: tuple[tuple[Row, ...], ...], hidden: int) -> Architecture:
    """Width multiplier 1. hidden: width of the layer after pooling."""
    width = 16
    stages = []
    for stage in rows:
        blocks = []
        for kernel, expanded, channels, with_se, activation, stride in stage:
            se = SQUEEZE if with_se else None
            expansion = expanded / width
            blocks.append(
                Block("inverted_residual", channels, stride, kernel, expansion, 1, activation, se)
            )
            width = channels
        stages.append(Stage(tuple(blocks)))
    stem = Stage((Block("conv", 16, stride=2, activation="hard_swish"),))
    last = Block("conv", 6 * width, kernel=1, activation="hard_swish")
    head = Head((last,), hidden, "hard_swish", dropout=0.2)
    return Architecture(stem, tuple(stages), head, norm_eps=1e-3)


def architectures() -> Makers:
    """mobilenet_v3_large, mobilenet_v3_small."""
    return {
        "mobilenet_v3_large": partial(mobilenet_v3, LARGE, 1280),
        "mobilenet_v3_small": partial(mobilenet_v3, SMALL, 1024),
    }
