"""What may be built: architectures as plain values, and search spaces as named decisions.

Needs numpy, and networkx for graphs; never torch.
"""

from search_space.around import around, around_published
from search_space.blueprint import Blueprint, blueprint_from_json
from search_space.errors import InputError
from search_space.graph import structural_hash, to_graph
from search_space.published import makers, published
from search_space.registry import lookup, names
from search_space.retrofit import Retrofit
from search_space.space import Candidate, Decision, SearchSpace
from search_space.twins import network_key
from search_space.values import SE, Architecture, Block, Head, Stage

__all__ = [
    "SE",
    "Architecture",
    "Block",
    "Blueprint",
    "Candidate",
    "Decision",
    "Head",
    "InputError",
    "Retrofit",
    "SearchSpace",
    "Stage",
    "around",
    "around_published",
    "blueprint_from_json",
    "load",
    "network_key",
    "published",
    "published_names",
    "space_names",
    "structural_hash",
    "to_graph",
]


def load(name: str) -> SearchSpace:
    """The search space of this name: `load("cifar_mobile")`.

    Raises `InputError` with the allowed names where there is none.
    """
    space: SearchSpace = lookup("search_space.spaces", name, "space").space()
    return space


def space_names() -> list[str]:
    """The names that `load` takes."""
    return names("search_space.spaces")


def published_names() -> list[str]:
    """The names that `published` takes."""
    return sorted(makers())
