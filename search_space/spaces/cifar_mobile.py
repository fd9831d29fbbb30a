"""Mobile networks for 32x32 images: inverted residuals (arXiv 1801.04381) in four stages, with
kernel, expansion and SE a decision at every block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.space import Choices, Decision, SearchSpace
from search_space.staged import StageDecisions, se_decision, staged_space
from search_space.twins import width_over_input
from search_space.values import Architecture, Block, Head, Stage

# Widths to choose from, and the stride of the first block. No stage offers its predecessor's
# width, so the first block of a stage never has a shortcut.
STAGES = (((12, 16, 20), 1), ((24, 32), 2), ((40, 48, 64), 2), ((80, 96, 128), 1))
RATIOS = (2, 4, 8, 16)
GATES = ("sigmoid", "hard_sigmoid")


def space() -> SearchSpace:
    """Depth and width a stage; kernel, expansion and SE a block."""
    shape = (Decision("kernel", (3, 5)), Decision("expansion", (2, 4, 6)))
    anywhere = se_decision(RATIOS, ("standard", "post", "identity", "conv3x3"), excitation=GATES)
    # Without a shortcut there is nothing for `identity` to gate, and `post` equals `standard`.
    first = se_decision(RATIOS, ("standard", "conv3x3"), excitation=GATES)
    stages = [
        StageDecisions(
            depth=(1, 2, 3),
            shared=(Decision("channels", widths),),
            block=(*shape, anywhere),
            first=(*shape, first),
        )
        for widths, _ in STAGES
    ]
    return staged_space(
        "cifar_mobile",
        stages,
        make_block,
        assemble,
        image_size=32,
        head_width=width_over_input,
    )


def make_block(stage: int, index: int, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Block:
    """hard_swish in the last two stages, relu before them, as MobileNetV3 has it."""
    return Block(
        cell="inverted_residual",
        channels=shared["channels"],
        stride=1 if index else STAGES[stage][1],
        kernel=own["kernel"],
        expansion=own["expansion"],
        activation="relu" if stage < 2 else "hard_swish",
        se=own["se"],
    )


def assemble(stages: tuple[Stage, ...], choices: Choices) -> Architecture:
    """A 3x3 stem of 16 channels; a 1x1 convolution to 256 before pooling."""
    stem = Stage((Block("conv", 16, activation="hard_swish"),))
    last = Block("conv", 256, kernel=1, activation="hard_swish")
    return Architecture(stem, stages, Head(blocks=(last,)))
