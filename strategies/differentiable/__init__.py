"""Differentiable strategies: options are weighed, and the weights learn by gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from search_space.registry import names
from strategies.core.settings_of import check_settings, settings_of, strategy_class
from strategies.core.weight_sharing import DifferentiableStrategy

PACKAGE = "strategies.differentiable"


def make_differentiable_strategy(
    name: str, lengths: Sequence[int], seed: int = 0, **settings: Any
) -> DifferentiableStrategy:
    """A differentiable strategy by name. lengths: the number of options of each decision.

    Raises `InputError` for a name or a setting that isn't known or allowed.
    """
    check_settings(name, settings, differentiable_settings(name))
    made: DifferentiableStrategy = _class(name)(lengths, seed, **settings)
    return made


def differentiable_names() -> list[str]:
    """The names that `make_differentiable_strategy` takes."""
    return names(PACKAGE)


def differentiable_settings(name: str) -> dict[str, Any]:
    """A strategy's settings with their defaults; its class says what they mean."""
    return settings_of(_class(name), 2)


def _class(name: str) -> Callable[..., Any]:
    return strategy_class(PACKAGE, name, "differentiable strategy")
