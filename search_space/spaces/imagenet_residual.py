"""Residual networks for ImageNet: basic or bottleneck cells in four stages around ResNet-50
(arXiv 1512.03385), with SE a decision at every block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.space import Choices, Decision, SearchSpace
from search_space.staged import StageDecisions, se_decision, staged_space
from search_space.twins import width_over_output
from search_space.values import Architecture, Block, Stage

# Depths and widths to choose from; a bottleneck's output is four times as wide as its inner part.
STAGES = (
    ((2, 3, 4), (48, 64, 80)),
    ((2, 3, 4, 6), (96, 128, 160)),
    ((4, 6, 8, 12), (192, 256, 320)),
    ((2, 3, 4), (384, 512, 640)),
)
SE_OPTIONS = se_decision(
    r=(2, 4, 8, 16, 32),
    placement=("standard", "pre", "post", "identity", "conv3x3"),
    squeeze=("avg", "max", "none"),
    excitation=("sigmoid", "tanh", "relu"),
    bias=False,
)


def space() -> SearchSpace:
    """Depth, width, cell and groups a stage; kernel and SE a block, with every placement, squeeze
    and excitation of the SE paper's ablations (arXiv 1709.01507, sections 6 and 7.1)."""
    stages = [
        StageDecisions(
            depth=depths,
            shared=(
                Decision("channels", widths),
                Decision("cell", ("basic", "bottleneck")),
                Decision("groups", (1, 2, 4, 8), when={"cell": ("bottleneck",)}),
            ),
            block=(Decision("kernel", (3, 5)), SE_OPTIONS),
        )
        for depths, widths in STAGES
    ]
    return staged_space(
        "imagenet_residual",
        stages,
        make_block,
        assemble,
        image_size=224,
        head_width=width_over_output,
    )


def make_block(stage: int, index: int, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Block:
    """Every stage but the first halves the map in its first block's spatial convolution."""
    is_bottleneck = shared["cell"] == "bottleneck"
    return Block(
        cell=shared["cell"],
        channels=shared["channels"] * (4 if is_bottleneck else 1),
        stride=2 if stage and not index else 1,
        kernel=own["kernel"],
        expansion=0.25 if is_bottleneck else 1.0,
        groups=shared["groups"] if is_bottleneck else 1,
        se=own["se"],
    )


def assemble(stages: tuple[Stage, ...], choices: Choices) -> Architecture:
    """ResNet's stem: 7x7 with stride 2, then max pooling."""
    stem = Stage((Block("conv", 64, stride=2, kernel=7), Block("max_pool", 64, stride=2)))
    return Architecture(stem, stages)
