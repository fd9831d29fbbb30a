"""Spaces of networks in stages: the decisions of each stage and block, written as data.

A stage has a depth, decisions of its own (shared by its blocks) and decisions for each block;
those of blocks beyond the depth don't count.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from search_space.se_options import se_at
from search_space.space import Choices, Decision, SearchSpace
from search_space.twins import HeadWidth, network_key
from search_space.values import SE, Architecture, Block, Stage

StageChoices = Mapping[str, Any]
BlockMaker = Callable[[int, int, StageChoices, Mapping[str, Any]], Block]


@dataclass(frozen=True)
class StageDecisions:
    """The decisions of one stage, with names that the stage's own name is put before.

    depth: allowed numbers of blocks, ascending. shared: decisions that all its blocks follow.
    block: decisions that each block has. first: replaces those of `block` in the first block,
    where there is no plain shortcut.
    """

    depth: tuple[int, ...]
    shared: tuple[Decision, ...] = ()
    block: tuple[Decision, ...] = ()
    first: tuple[Decision, ...] | None = None

    def at(self, index: int) -> tuple[Decision, ...]:
        """The decisions of the block with this index in the stage."""
        return self.first if index == 0 and self.first is not None else self.block


def staged_space(
    name: str,
    stages: Sequence[StageDecisions],
    make_block: BlockMaker,
    assemble: Callable[[tuple[Stage, ...], Choices], Architecture],
    image_size: int,
    head_width: HeadWidth | None = None,
) -> SearchSpace:
    """A space whose decisions are called `stage1_depth`, `stage1_kernel`, `stage1_block2_se`.

    make_block(stage, index, shared choices, block choices) gives each block;
    assemble(stages, all choices) puts stem and head around them; image_size: the side in pixels
    of the images that they are made for; head_width: of (block, input channels), the width that the
    placement `conv3x3` gates in the cells used, to know equal networks by (`network_key`).
    """
    decisions: list[Decision] = []
    for number, stage in enumerate(stages, start=1):
        prefix = f"stage{number}_"
        decisions.append(Decision(f"{prefix}depth", stage.depth))
        decisions += [_prefixed(decision, prefix) for decision in stage.shared]
        for index in range(max(stage.depth)):
            deep_enough = [depth for depth in stage.depth if depth > index]
            for decision in stage.at(index):
                named = _prefixed(decision, f"{prefix}block{index + 1}_", parents=prefix)
                if len(deep_enough) < len(stage.depth):
                    when = {**named.when, f"{prefix}depth": deep_enough}
                    named = replace(named, when=when)
                decisions.append(named)

    def build(choices: Choices) -> Architecture:
        built = tuple(
            _build_stage(number, stage, choices, make_block) for number, stage in enumerate(stages)
        )
        return assemble(built, choices)

    identify = partial(network_key, head_width=head_width)
    return SearchSpace(name, tuple(decisions), build, image_size, identify)


def _prefixed(decision: Decision, prefix: str, parents: str | None = None) -> Decision:
    when = {f"{parents or prefix}{name}": options for name, options in decision.when.items()}
    return replace(decision, name=prefix + decision.name, when=when)


def _build_stage(
    number: int, stage: StageDecisions, choices: Choices, make_block: BlockMaker
) -> Stage:
    prefix = f"stage{number + 1}_"
    shared = {d.name: choices.get(prefix + d.name) for d in stage.shared}
    blocks = []
    for index in range(choices[f"{prefix}depth"]):
        own = {d.name: choices.get(f"{prefix}block{index + 1}_{d.name}") for d in stage.at(index)}
        blocks.append(make_block(number, index, shared, own))
    return Stage(tuple(blocks))


def se_decision(
    r: float | Sequence[float] = 16,
    placement: str | Sequence[str] = "standard",
    squeeze: str | Sequence[str] = "avg",
    excitation: str | Sequence[str] = "sigmoid",
    base: str | Sequence[str] = "own",
    divisor: int | Sequence[int] = 1,
    bias: bool | Sequence[bool] = True,
    activation: str | Sequence[str] = "relu",
    neutral: bool | Sequence[bool] = False,
    name: str = "se",
) -> Decision:
    """One decision for an SE block: absent, or any combination of the options given.

    Each field of `SE` is one value or a sequence of options. Drawn absent half of the time,
    however many the options are, so that a random network is as likely to have SE at a place as
    not.
    """
    options = (r, placement, squeeze, excitation, base, divisor, bias, activation, neutral)
    present = [SE(*values) for values in itertools.product(*map(_options, options))]
    return se_at(name, present)


def _options(given: Any) -> Sequence[Any]:
    return given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
