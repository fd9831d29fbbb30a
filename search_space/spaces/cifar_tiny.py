"""Small residual networks for 32x32 images, cheap enough to try a search out on a laptop: basic
cells in three stages, each block with or without the paper's SE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.space import Choices, Decision, SearchSpace
from search_space.staged import StageDecisions, se_decision, staged_space
from search_space.twins import width_over_output
from search_space.values import Architecture, Block, Stage

WIDTHS = ((8, 12, 16), (16, 24, 32), (32, 48, 64))


def space() -> SearchSpace:
    """Depth and width a stage; SE a block, with r of 2, 4 or 8 after the branch or its 3x3."""
    se = se_decision(r=(2, 4, 8), placement=("standard", "conv3x3"))
    stages = [
        StageDecisions(depth=(1, 2), shared=(Decision("channels", widths),), block=(se,))
        for widths in WIDTHS
    ]
    return staged_space(
        "cifar_tiny",
        stages,
        make_block,
        assemble,
        image_size=32,
        head_width=width_over_output,
    )


def make_block(stage: int, index: int, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Block:
    """The first block of every stage halves the map: the stem's output is never read whole."""
    stride = 1 if index else 2
    return Block("basic", shared["channels"], stride, se=own["se"])


def assemble(stages: tuple[Stage, ...], choices: Choices) -> Architecture:
    """A 3x3 stem of 12 channels, average pooling, classifier."""
    return Architecture(Stage((Block("conv", 12),)), stages)
