"""EfficientNet-B0 (arXiv 1905.11946, table 1): SE after each depthwise convolution, hidden width a
quarter of the block's input, SiLU between its layers.

The norms add 1e-5, as in torchvision and timm; TensorFlow's add 1e-3. Stochastic depth, which
counts in training alone, is left out.
"""

from __future__ import annotations

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Expansion, channels, blocks, stride of the first block, kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
SQUEEZE = SE(r=4, placement="conv3x3", base="input", activation="silu")


def efficientnet_b0() -> Architecture:
    """Width and depth as published."""
    stages = tuple(
        Stage(
            tuple(
                Block(
                    "inverted_residual",
                    channels,
                    1 if index else stride,
                    kernel,
                    expansion,
                    activation="silu",
                    se=SQUEEZE,
                )
                for index in range(blocks)
            )
        )
        for expansion, channels, blocks, stride, kernel in STAGES
    )
    head = Head(blocks=(Block("conv", 1280, kernel=1, activation="silu"),), dropout=0.2)
    return Architecture(Stage((Block("conv", 32, stride=2, activation="silu"),)), stages, head)


def architectures() -> Makers:
    """efficientnet_b0."""
    return {"efficientnet_b0": efficientnet_b0}
