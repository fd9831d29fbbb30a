"""Checks of what a user wrote: each raises `InputError` naming the place and what is allowed."""

from __future__ import annotations

import math
import tomllib
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
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        raise InputError(f"{where} must be a number below 1e308") from None
    if not finite or value < least:
        raise InputError(f"{where} must be a number of at least {least:g}, not {value!r}")


def below_one(where: str, value: Any) -> None:
    """That a value is a number from 0 to below 1."""
    number(where, value, least=0.0)
    if value >= 1:
        raise InputError(f"{where} must be below 1, not {value}")


def integer(where: str, value: object, least: int) -> None:
    """That a value is a whole number (not a boolean) of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{where} must be a whole number of at least {least}, not {value!r}")


def boolean(where: str, value: object) -> None:
    """That a value is true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{where} must be true or false, not {value!r}")


def seed(value: object, where: str = "seed") -> None:
    """That a value can seed the generators of numpy and of torch alike."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InputError(f"{where} must be between 0 and 2**63-1, not {value!r}")


def parse_assignment(text: str) -> tuple[list[str], object]:
    """The keys, from the outermost table inwards, and the value of `--set key.key=value`.

    The value is what TOML reads in it (`30`, `true`, `[1, 2]`, `"30"`), or else the text itself.
    Raises `InputError` for what isn't an assignment.
    """
    key, equals, written = (part.strip() for part in text.partition("="))
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise InputError(f"--set {text}: write it as key=value")
    try:
        table = tomllib.loads(f"value = {written}")
    except (ValueError, RecursionError):  # ValueError: no TOML, or more digits than Python reads
        return path, written
    # More than one key: the text went on behind a line's end, and is no single value.
    return path, table["value"] if len(table) == 1 else written
