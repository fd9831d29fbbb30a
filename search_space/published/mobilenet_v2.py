"""MobileNetV2 (arXiv 1801.04381, table 2), and with SE after each depthwise convolution."""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Expansion, channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(se: SE | None = None) -> Architecture:
    """Width multiplier 1."""

    def conv(channels: int, kernel: int, stride: int) -> Block:
        return Block("conv", channels, stride, kernel, activation="relu6")

    stages = tuple(
        Stage(
            tuple(
                Block(
                    "inverted_residual",
                    channels,
                    stride if index == 0 else 1,
                    expansion=expansion,
                    activation="relu6",
                    se=se,
                )
                for index in range(blocks)
            )
        )
        for expansion, channels, blocks, stride in STAGES
    )
    head = Head(blocks=(conv(1280, 1, 1),), dropout=0.2)
    return Architecture(Stage((conv(32, 3, 2),)), stages, head)


def architectures() -> Makers:
    """mobilenet_v2, se_mobilenet_v2."""
    se = SE(r=16, placement="conv3x3")
    return {"mobilenet_v2": mobilenet_v2, "se_mobilenet_v2": partial(mobilenet_v2, se)}
