"""The settings that a weight-sharing strategy's class takes, by its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from search_space.errors import InputError, one_of
from search_space.registry import lookup


def strategy_class(package: str, name: str, kind: str) -> Callable[..., Any]:
    """The class `Strategy` of a module in a package. Raises `InputError` where there is none."""
    module = lookup(package, name, kind)
    found: Callable[..., Any] | None = getattr(module, "Strategy", None)
    if found is None:
        raise InputError(f"{kind} {name!r}: {module.__file__} has no class `Strategy`")
    return found


def settings_of(made: Callable[..., Any], given: int) -> dict[str, Any]:
    """The parameters, with their defaults, after the first `given`."""
    parameters = list(inspect.signature(made).parameters.values())[given:]
    return {parameter.name: parameter.default for parameter in parameters}


def check_settings(name: str, settings: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Raise `InputError` for a setting that isn't allowed."""
    for key in settings:
        if key not in allowed:
            if not allowed:
                raise InputError(f"{name} has no settings, so not {key!r}")
            raise one_of(f"{name}: setting", key, allowed)
