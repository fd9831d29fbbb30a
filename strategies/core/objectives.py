"""What a search is for: names of scores and their directions, turned once into losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from search_space.errors import InputError, one_of

SIGNS = {"min": 1.0, "max": -1.0}


@dataclass(frozen=True)
class Objectives:
    """directions: "max" or "min" by the name of a score; at least one, in a fixed order."""

    directions: Mapping[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.directions, Mapping) or not self.directions:
            raise InputError(
                f"objectives must map at least one name to max or min, not {self.directions!r}"
            )
        for name, direction in self.directions.items():
            if not isinstance(direction, str) or direction not in SIGNS:
                raise one_of(f"objectives.{name}: direction", direction, sorted(SIGNS))
        object.__setattr__(self, "directions", dict(self.directions))

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self.directions)

    def losses(self, scores: Mapping[str, Any]) -> tuple[float, ...]:
        """The objectives among the scores as numbers to minimise.

        Raises `InputError` where one is missing or isn't a finite number.
        """
        return tuple(
            SIGNS[direction] * _finite(name, scores) for name, direction in self.directions.items()
        )


def _finite(name: str, scores: Mapping[str, Any]) -> float:
    if name not in scores:
        raise InputError(f"scores lack the objective {name!r} (given: {', '.join(scores)})")
    value = scores[name]
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"score {name!r} must be a finite number, not {value!r}")
    return float(value)
