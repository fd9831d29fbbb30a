"""MnasNet-A1 (arXiv 1807.11626, figure 7): SE after the depthwise convolutions of three stages,
hidden width a quarter of the block's input.

The norms add 1e-5, as in timm's `semnasnet_100`; TensorFlow's add 1e-3. The head's dropout is that
of the authors' code.
"""

from __future__ import annotations

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Expansion, channels, blocks, stride of the first block, kernel, whether SE stands.
STAGES = (
    (1, 16, 1, 1, 3, False),
    (6, 24, 2, 2, 3, False),
    (3, 40, 3, 2, 5, True),
    (6, 80, 4, 2, 3, False),
    (6, 112, 2, 1, 3, True),
    (6, 160, 3, 2, 5, True),
    (6, 320, 1, 1, 3, False),
)
SQUEEZE = SE(r=4, placement="conv3x3", base="input")


def mnasnet_a1() -> Architecture:
    """Width multiplier 1."""
    stages = tuple(
        Stage(
            tuple(
                Block(
                    "inverted_residual",
                    channels,
                    1 if index else stride,
                    kernel,
                    expansion,
                    se=SQUEEZE if with_se else None,
                )
                for index in range(blocks)
            )
        )
        for expansion, channels, blocks, stride, kernel, with_se in STAGES
    )
    head = Head(blocks=(Block("conv", 1280, kernel=1),), dropout=0.2)
    return Architecture(Stage((Block("conv", 32, stride=2),)), stages, head)


def architectures() -> Makers:
    """mnasnet_a1."""
    return {"mnasnet_a1": mnasnet_a1}
