"""Checks of what a user wrote: each raises `InputError` naming the place and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from search_space.errors import InputError, one_of


def mapping(where: str, data: object) -> Mapping[str, Any]:
    """A parsed JSON or TOML object."""
    if not isinstance(data, dict):
        raise InputError(f"{where} must be an object, not {data!r}")
    return data


def list_of(where: str, data: object) -> list[Any]:
    """A parsed list."""
    if not isinstance(data, list):
        raise InputError(f"{where} must be a list, not {data!r}")
    return data


def keys(where: str, data: object, allowed: set[str], required: tuple[str, ...] = ()) -> None:
    """That an object has no key beyond `allowed`, and all of `required`."""
    given = mapping(where, data)
    for key in given:
        if key not in allowed:
            raise one_of(f"{where}: key", key, sorted(allowed))
    for key in required:
        if key not in given:
            raise InputError(f"{where}: the key {key!r} is missing")


def choice(where: str, value: object, allowed: tuple[str, ...]) -> None:
    """That a value is one of a few names."""
    if value not in allowed:
        raise one_of(where, value, allowed)


def number(where: str, value: object, least: float) -> None:
    """That a value is a finite number (not a boolean) of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where} must be a number of at least {least:g}, not {value!r}")
    if not math.isfinite(value) or value < least:
        raise InputError(f"{where} must be a number of at least {least:g}, not {value!r}")


def integer(where: str, value: object, least: int) -> None:
    """That a value is a whole number (not a boolean) of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{where} must be a whole number of at least {least}, not {value!r}")


def boolean(where: str, value: object) -> None:
    """That a value is true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{where} must be true or false, not {value!r}")
