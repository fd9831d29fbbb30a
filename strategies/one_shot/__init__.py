"""One-shot strategies: which networks of a supernet learn from each batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search_space.registry import names
from search_space.space import Candidate, SearchSpace
from strategies.core.settings_of import check_settings, settings_of, strategy_class
from strategies.core.weight_sharing import PathStrategy

PACKAGE = "strategies.one_shot"


def make_path_strategy(
    name: str,
    space: SearchSpace,
    smallest: Candidate,
    largest: Candidate,
    seed: int = 0,
    **settings: Any,
) -> PathStrategy:
    """A one-shot strategy by name. smallest, largest: the space's cheapest and costliest network.

    Raises `InputError` for a name or a setting that isn't known or allowed.
    """
    check_settings(name, settings, path_strategy_settings(name))
    made: PathStrategy = _class(name)(space, smallest, largest, seed, **settings)
    return made


def path_strategy_names() -> list[str]:
    """The names that `make_path_strategy` takes."""
    return names(PACKAGE)


def path_strategy_settings(name: str) -> dict[str, Any]:
    """A strategy's settings with their defaults; its class says what they mean."""
    return settings_of(_class(name), 4)


def _class(name: str) -> Callable[..., Any]:
    return strategy_class(PACKAGE, name, "one-shot strategy")
