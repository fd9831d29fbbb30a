"""Published networks by name: one file a family, whose `architectures()` maps names to makers."""

from __future__ import annotations

from collections.abc import Callable

from search_space.errors import one_of
from search_space.registry import lookup, names
from search_space.values import Architecture

Makers = dict[str, Callable[[], Architecture]]


def makers() -> Makers:
    """Every name with the function that makes its architecture."""
    found: Makers = {}
    for family in names("search_space.published"):
        found |= lookup("search_space.published", family, "family").architectures()
    return found


def published(name: str) -> Architecture:
    """The network of this name. Raises `InputError` with the allowed names."""
    known = makers()
    if name not in known:
        raise one_of("network", name, sorted(known))
    return known[name]()
