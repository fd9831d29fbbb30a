"""Residual networks for 32x32 images: basic or bottleneck cells in three stages, as in the
CIFAR ResNets (arXiv 1512.03385, section 4.2), with SE a decision at every block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.space import Choices, Decision, SearchSpace
from search_space.staged import StageDecisions, se_decision, staged_space
from search_space.twins import width_over_output
from search_space.values import Architecture, Block, Stage

WIDTHS = ((8, 16, 24, 32), (16, 32, 48, 64), (32, 64, 96, 128))
SE_OPTIONS = se_decision(
    r=(2, 4, 8, 16, 32),
    placement=("standard", "pre", "post", "identity", "conv3x3"),
    squeeze=("avg", "max"),
)


def space() -> SearchSpace:
    """Depth, width, cell and groups a stage; kernel and SE a block."""
    stages = [
        StageDecisions(
            depth=(1, 2, 3),
            shared=(
                Decision("channels", widths),
                Decision("cell", ("basic", "bottleneck")),
                Decision("groups", (1, 2, 4), when={"cell": ("bottleneck",)}),
            ),
            block=(Decision("kernel", (3, 5)), SE_OPTIONS),
        )
        for widths in WIDTHS
    ]
    return staged_space(
        "cifar_residual",
        stages,
        make_block,
        assemble,
        image_size=32,
        head_width=width_over_output,
    )


def make_block(stage: int, index: int, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Block:
    """A bottleneck's inner width is half of its output's; stages 2 and 3 halve the map."""
    is_bottleneck = shared["cell"] == "bottleneck"
    return Block(
        cell=shared["cell"],
        channels=shared["channels"],
        stride=2 if stage and not index else 1,
        kernel=own["kernel"],
        expansion=0.5 if is_bottleneck else 1.0,
        groups=shared["groups"] if is_bottleneck else 1,
        se=own["se"],
    )


def assemble(stages: tuple[Stage, ...], choices: Choices) -> Architecture:
    """A 3x3 stem of 16 channels, average pooling, classifier."""
    return Architecture(Stage((Block("conv", 16),)), stages)
