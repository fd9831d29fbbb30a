"""EfficientNetV2-S (arXiv 2104.00298, table 4): first stages whose kxk expands, without SE; then
inverted residuals with SE after the depthwise convolution, hidden width a quarter of the block's
input, SiLU between its layers.

As in torchvision and the authors' code the norms add 1e-3. Stochastic depth, which counts in
training alone, is left out.
"""

from __future__ import annotations

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

# Cell, expansion, channels, blocks, stride of the first block.
STAGES = (
    ("fused_inverted_residual", 1, 24, 2, 1),
    ("fused_inverted_residual", 4, 48, 4, 2),
    ("fused_inverted_residual", 4, 64, 4, 2),
    ("inverted_residual", 4, 128, 6, 2),
    ("inverted_residual", 6, 160, 9, 1),
    ("inverted_residual", 6, 256, 15, 2),
)
SQUEEZE = SE(r=4, placement="conv3x3", base="input", activation="silu")


def efficientnet_v2_s() -> Architecture:
    """Width and depth as published; all kernels are 3x3."""
    stages = tuple(
        Stage(
            tuple(
                Block(
                    cell,
                    channels,
                    1 if index else stride,
                    expansion=expansion,
                    activation="silu",
                    se=SQUEEZE if cell == "inverted_residual" else None,
                )
                for index in range(blocks)
            )
        )
        for cell, expansion, channels, blocks, stride in STAGES
    )
    stem = Stage((Block("conv", 24, stride=2, activation="silu"),))
    head = Head(blocks=(Block("conv", 1280, kernel=1, activation="silu"),), dropout=0.2)
    return Architecture(stem, stages, head, norm_eps=1e-3)


def architectures() -> Makers:
    """efficientnet_v2_s."""
    return {"efficientnet_v2_s": efficientnet_v2_s}
