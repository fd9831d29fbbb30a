"""A space around one network: at each place of its SE blocks, whether SE stands there and which."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from search_space.errors import InputError
from search_space.published import makers, published
from search_space.se_options import SEOptions, se_at, se_values
from search_space.space import Choices, SearchSpace
from search_space.twins import network_key
from search_space.values import Architecture, Block, Head, Stage

SMALL_STRIDE = 8  # in all: up to here a network is made for images of 32 pixels, else of 224


def around(architecture: Architecture, options: SEOptions | None = None) -> SearchSpace:
    """The networks that differ from `architecture` in their SE blocks alone.

    Each block that has SE gets a decision, named by the block's path: absent, or its own SE with
    the options laid over it. Raises `InputError` where no block has SE.
    """
    places = {path: block.se for path, block in architecture.blocks() if block.se is not None}
    if not places:
        raise InputError("the network has no SE, so there is no place to search")
    decisions = [se_at(path, se_values(se, options or {})) for path, se in places.items()]
    stride = math.prod(block.stride for _, block in architecture.blocks())
    return SearchSpace(
        "around",
        tuple(decisions),
        partial(with_choices, architecture),
        32 if stride <= SMALL_STRIDE else 224,
        network_key,
    )


def around_published(name: str, options: SEOptions | None = None) -> SearchSpace:
    """`around` the published network of this name. One that has no SE gets its places from the
    network of the same name with `se_` before it.

    Raises `InputError` for an unknown name, or where neither has SE.
    """
    network = published(name)
    has_se = any(block.se for _, block in network.blocks())
    if not has_se and f"se_{name}" in makers():
        network = published(f"se_{name}")
    try:
        return replace(around(network, options), name=f"published:{name}")
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def with_choices(architecture: Architecture, choices: Choices) -> Architecture:
    """The network with the SE that `choices` gives for each block's path."""

    def blocks(where: str, given: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(
            replace(block, se=choices.get(f"{where}.{index}", block.se))
            for index, block in enumerate(given)
        )

    stages = tuple(
        Stage(blocks(f"stages.{number}.blocks", stage.blocks))
        for number, stage in enumerate(architecture.stages)
    )
    head: Head = replace(architecture.head, blocks=blocks("head.blocks", architecture.head.blocks))
    stem = Stage(blocks("stem.blocks", architecture.stem.blocks))
    return replace(architecture, stem=stem, stages=stages, head=head)
