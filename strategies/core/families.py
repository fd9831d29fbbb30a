"""Weight-sharing strategies by name: `strategies/differentiable` and `strategies/one_shot`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from search_space.errors import InputError, one_of
from search_space.registry import lookup, names
from strategies.core.weight_sharing import DifferentiableStrategy

_DIFFERENTIABLE = "strategies.differentiable"
_ONE_SHOT = "strategies.one_shot"


def differentiable_names() -> list[str]:
    """The names that `make_differentiable` takes, sorted."""
    return names(_DIFFERENTIABLE)


def one_shot_names() -> list[str]:
    """The names of the strategies that train a supernet by some of its networks, sorted."""
    return names(_ONE_SHOT)


def differentiable_settings(name: str) -> dict[str, Any]:
    """A strategy's settings with their defaults; its class says what they mean."""
    parameters = list(inspect.signature(_differentiable(name)).parameters.values())
    return {parameter.name: parameter.default for parameter in parameters[2:]}


def make_differentiable(
    name: str, lengths: Sequence[int], seed: int, **settings: Any
) -> DifferentiableStrategy:
    """A differentiable strategy by name.

    lengths: the number of options of each decision. Raises `InputError` for what isn't known or
    allowed.
    """
    allowed = differentiable_settings(name)
    for key in settings:
        if key not in allowed:
            raise one_of(f"{name}: setting", key, allowed)
    return _differentiable(name)(tuple(lengths), seed, **settings)


def _differentiable(name: str) -> Callable[..., DifferentiableStrategy]:
    module = lookup(_DIFFERENTIABLE, name, "differentiable strategy")
    found: Callable[..., DifferentiableStrategy] | None = getattr(module, "Strategy", None)
    if found is None:
        raise InputError(
            f"differentiable strategy {name!r}: {module.__file__} has no class `Strategy`"
        )
    return found
