"""Checks of settings beyond those that search spaces need."""

from __future__ import annotations

from search_space import checks
from search_space.errors import InputError


def probability(where: str, value: float) -> None:
    """That a value is a number from 0 to 1."""
    checks.number(where, value, least=0)
    if value > 1:
        raise InputError(f"{where} must be a number from 0 to 1, not {value!r}")
