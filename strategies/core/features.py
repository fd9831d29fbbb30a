"""Candidates as features of a model: what each decision and each aspect of an option says.

An option that is a number also counts by its rank among the numbers; one that is a dataclass
(such as `SE`) also by each of its fields. Every such aspect is a group of columns, for a model to
weigh as a whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from search_space.space import SearchSpace
from strategies.core.codes import Codes, Rows

Features = NDArray[np.float64]


class Featuriser:
    """groups: for each column the number of its aspect. Distances in an aspect, summed over its
    columns, run from 0 to 1."""

    def __init__(self, space: SearchSpace) -> None:
        self._codes = Codes(space)
        tables: list[Features] = []
        owners: list[int] = []
        groups: list[int] = []
        for position, decision in enumerate(space.decisions):
            for table in _aspects(decision.options):
                groups += [len(owners)] * table.shape[1]
                owners.append(position)
                tables.append(table)
        self.groups = np.array(groups, dtype=np.int64)
        self._tables, self._owners = tables, owners

    def __call__(self, rows: Rows) -> Features:
        """Features of normalised candidates; zeros where a decision doesn't count."""
        active = self._codes.active(rows)
        parts = [
            table[rows[:, owner]] * active[:, owner, None]
            for table, owner in zip(self._tables, self._owners, strict=True)
        ]
        return np.concatenate(parts, axis=1)


def _aspects(options: Sequence[Hashable]) -> Iterator[Features]:
    """Tables of one row an option: of the option itself, its rank, its fields."""
    if len(options) < 2:
        return
    yield np.eye(len(options)) / 2
    if len(options) == 2:
        return
    structured = [option for option in options if is_dataclass(option)]
    if structured and all(option is None or is_dataclass(option) for option in options):
        if len(structured) < len(options):
            yield _one_hot([option is None for option in options])
        for field in fields(structured[0]):  # type: ignore[arg-type]
            values = [getattr(option, field.name, None) for option in options]
            if len(set(values) - {None}) > 1:
                yield _ranked(values) if _are_numbers(values) else _one_hot(values)
    elif _are_numbers(options):
        yield _ranked(options)


def _are_numbers(values: Sequence[object]) -> bool:
    present = [value for value in values if value is not None]
    return len(set(present)) > 2 and all(
        isinstance(value, Real) and not isinstance(value, bool) for value in present
    )


def _one_hot(values: Sequence[Hashable]) -> Features:
    """Nothing where the value is None."""
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    return np.array([[(value == own) / 2 for own in distinct] for value in values])


def _ranked(values: Sequence[object]) -> Features:
    """Steps passed on the way from the least value up, so that distance is difference of rank."""
    distinct = sorted({value for value in values if value is not None})  # type: ignore[type-var]
    share = 1 / (len(distinct) - 1)
    return np.array(
        [[share * (v is not None and v > step) for step in distinct[:-1]] for v in values]  # type: ignore[operator]
    )
