"""Mobile networks for ImageNet: inverted residuals in the shape of MobileNetV3-Large
(arXiv 1905.02244, table 1), with kernel, expansion and SE a decision at every block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.space import Choices, Decision, SearchSpace
from search_space.staged import StageDecisions, se_decision, staged_space
from search_space.twins import width_over_input
from search_space.values import Architecture, Block, Head, Stage

# Widths to choose from, and the stride of the first block. No stage offers its predecessor's
# width, so the first block of a stage never has a shortcut.
STAGES = (
    ((20, 24, 28), 2),
    ((32, 40, 48), 2),
    ((72, 80, 96), 2),
    ((104, 112, 128), 1),
    ((144, 160, 192), 2),
)
DEPTHS = (2, 3, 4)
RATIOS = (2, 4, 8, 16)
GATES = ("sigmoid", "hard_sigmoid")


def space() -> SearchSpace:
    """Depth and width a stage; kernel, expansion and SE a block. SE's hidden width is rounded to
    a multiple of 8, as in MobileNetV3."""
    shape = (Decision("kernel", (3, 5, 7)), Decision("expansion", (3, 4, 6)))
    anywhere = se_decision(
        RATIOS, ("standard", "post", "identity", "conv3x3"), excitation=GATES, divisor=8
    )
    # Without a shortcut there is nothing for `identity` to gate, and `post` equals `standard`.
    first = se_decision(RATIOS, ("standard", "conv3x3"), excitation=GATES, divisor=8)
    stages = [
        StageDecisions(
            depth=DEPTHS,
            shared=(Decision("channels", widths),),
            block=(*shape, anywhere),
            first=(*shape, first),
        )
        for widths, _ in STAGES
    ]
    return staged_space(
        "imagenet_mobile",
        stages,
        make_block,
        assemble,
        image_size=224,
        head_width=width_over_input,
    )


def make_block(stage: int, index: int, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Block:
    """relu in the first two stages, hard_swish after them."""
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
    """MobileNetV3's stem and first block before the stages, its efficient last stage after."""
    stem = Stage(
        (
            Block("conv", 16, stride=2, activation="hard_swish"),
            Block("inverted_residual", 16),
        )
    )
    last = Block("conv", 960, kernel=1, activation="hard_swish")
    head = Head(blocks=(last,), hidden=1280, activation="hard_swish", dropout=0.2)
    return Architecture(stem, stages, head)
