"""Published networks by name: one file a family, whose `architectures()` maps names to makers.

`se_X` is X with SE where the SE paper puts it in that family; a network that has SE of its own,
and so no `se_` before it, has a twin `no_se_X` without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from search_space.errors import one_of
from search_space.registry import lookup, names
from search_space.values import Architecture, Block, Stage

Makers = dict[str, Callable[[], Architecture]]


def makers() -> Makers:
    """Every name with the function that makes its architecture."""
    found: Makers = {}
    for family in names("search_space.published"):
        found |= lookup("search_space.published", family, "family").architectures()
    return found | _twins_without_se(found)


def without_se(architecture: Architecture) -> Architecture:
    """The same network, no block of which has SE."""

    def plain(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(replace(block, se=None) for block in blocks)

    return replace(
        architecture,
        stem=Stage(plain(architecture.stem.blocks)),
        stages=tuple(Stage(plain(stage.blocks)) for stage in architecture.stages),
        head=replace(architecture.head, blocks=plain(architecture.head.blocks)),
    )


def published(name: str) -> Architecture:
    """The network of this name. Raises `InputError` with the allowed names."""
    known = makers()
    if name not in known:
        raise one_of("network", name, sorted(known))
    return known[name]()


def _twins_without_se(found: Makers) -> Makers:
    """`no_se_X` for each X with SE. An X beside which there is an `se_X` has none (it isn't built
    to find out)."""
    return {
        f"no_se_{name}": partial(_made_without_se, make)
        for name, make in found.items()
        if not name.startswith("se_")
        and f"se_{name}" not in found
        and any(block.se is not None for _, block in make().blocks())
    }


def _made_without_se(make: Callable[[], Architecture]) -> Architecture:
    return without_se(make())
