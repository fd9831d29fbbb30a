"""Limits on scores that can be computed before training, such as MACs and parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from numbers import Real

from search_space.errors import InputError, one_of
from search_space.space import Candidate

Known = Mapping[str, Callable[[Candidate], float]]
Bound = float | tuple[float, float]

REMEMBERED = 65_536  # values of each known score


class Limits:
    """Known scores of candidates, and how far they are outside of the limits."""

    def __init__(self, known: Known, bounds: Mapping[str, Bound]) -> None:
        for name in bounds:
            if name not in known:
                raise InputError(
                    f"limits.{name}: no function in `known` computes {name!r}"
                    f" (known: {', '.join(known) or 'none'})"
                )
        self._known = {name: lru_cache(REMEMBERED)(compute) for name, compute in known.items()}
        self._bounds = {name: _least_and_most(name, bound) for name, bound in bounds.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def value(self, name: str, candidate: Candidate) -> float:
        """A known score of a candidate. Raises `InputError` where there is no such score."""
        if name not in self._known:
            raise one_of("known score", name, list(self._known))
        return self._known[name](candidate)

    def excess(self, candidate: Candidate) -> float:
        """How far a candidate is outside, as a sum of shares of the limits: 0 within all."""
        return sum(
            _relative_excess(self._known[name](candidate), least, most)
            for name, (least, most) in self._bounds.items()
        )


def _least_and_most(name: str, bound: object) -> tuple[float, float]:
    pair = bound if isinstance(bound, tuple | list) else (-math.inf, bound)
    numbers = [float(x) for x in pair if isinstance(x, Real) and not isinstance(x, bool)]
    if len(pair) != 2 or len(numbers) != 2 or not numbers[0] <= numbers[1]:
        raise InputError(f"limits.{name} must be a number or (least, most), not {bound!r}")
    return numbers[0], numbers[1]


def _relative_excess(value: float, least: float, most: float) -> float:
    if least <= value <= most:
        return 0.0
    over, limit = (value - most, most) if value > most else (least - value, least)
    return math.inf if math.isnan(over) else over / max(abs(limit), 1e-12)
