"""The options that a place has: no SE, or one of several SE values, as one decision."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from search_space.errors import InputError, one_of
from search_space.space import Decision
from search_space.values import SE

SEOptions = Mapping[str, Any]


def se_values(own: SE, options: SEOptions) -> tuple[SE, ...]:
    """`own` with every combination of the options laid over it, without duplicates.

    options: by SE's field, a value or a list of values.
    Raises `InputError` for a field or value that SE doesn't have.
    """
    known = [field.name for field in fields(SE)]
    for key in options:
        if key not in known:
            raise one_of("space.se: key", key, known)
    lists = [value if isinstance(value, list | tuple) else [value] for value in options.values()]
    if not all(lists):
        raise InputError("space.se: a list of options is empty")
    combinations = (dict(zip(options, values, strict=True)) for values in itertools.product(*lists))
    return tuple(dict.fromkeys(replace(own, **combination) for combination in combinations))


def se_at(name: str, values: Sequence[SE]) -> Decision:
    """Absent, or one of the values; drawn absent half of the time, however many there are."""
    weights = (float(len(values)), *(1.0 for _ in values))
    return Decision(name, (None, *values), weights=weights)
