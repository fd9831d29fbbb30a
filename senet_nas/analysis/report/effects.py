"""The effect of each choice: least squares of a score on what trials chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_space import SE, SearchSpace
from search_space.space import option_label
from senet_nas.analysis.places import effects_of
from senet_nas.search import TrialRecord

SCORES = ("accuracy", "latency_ms")
FEW = 5  # trials with a choice, below which its interval is not to be relied on


@dataclass(frozen=True)
class Column:
    """One choice, against what `against` names. chosen: by trial, 1 where it was made."""

    decision: str
    choice: str
    against: str
    chosen: np.ndarray


def effects(space: SearchSpace, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """For accuracy, and latency where all have it: the coefficient of each choice with half the
    width of its 95% interval, None where it can't be told. `joint`: one model of all choices; where
    trials are too few for it, each decision has a model of its own, which leaves out the others."""
    columns = _columns(space, records)
    found = []
    for score in SCORES:
        if not records or not columns or any(score not in (r.scores or {}) for r in records):
            continue
        values = [(record.scores or {})[score] for record in records]
        joint = len(records) >= len(columns) + 2
        groups = [columns] if joint else _by_decision(columns)
        rows = [row for group in groups for row in _fitted(group, values)]
        found.append(
            {"score": score, "joint": joint, "trials": len(records), "rows": rows, "few": FEW}
        )
    return found


def _fitted(columns: Sequence[Column], values: Sequence[float]) -> list[dict[str, Any]]:
    design = np.column_stack([column.chosen for column in columns])
    coefficients, half_widths = effects_of(design, values)
    return [
        {
            "decision": column.decision,
            "choice": column.choice,
            "against": column.against,
            "trials": int(column.chosen.sum()),
            "effect": effect,
            "half_width": width,
        }
        for column, effect, width in zip(columns, coefficients, half_widths, strict=True)
    ]


def _columns(space: SearchSpace, records: Sequence[TrialRecord]) -> list[Column]:
    columns = []
    for position, decision in enumerate(space.decisions):
        made = [
            record.candidate[position] if space.is_active(record.candidate, position) else None
            for record in records
        ]
        if any(isinstance(option, SE) for option in decision.options):
            # Which SE stands there has too many values for one coefficient each.
            labels = ["SE" if isinstance(o, SE) else "no SE" for o in decision.options]
        else:
            labels = [option_label(option) for option in decision.options]
        chosen = [None if number is None else labels[number] for number in made]
        counts = Counter(label for label in chosen if label is not None)
        if len(counts) < 2:
            continue
        usual = "no SE" if "no SE" in counts else counts.most_common(1)[0][0]
        for label in dict.fromkeys(labels):
            if label != usual and label in counts:
                is_chosen = np.array([float(each == label) for each in chosen])
                columns.append(Column(decision.name, label, usual, is_chosen))
    return columns


def _by_decision(columns: Sequence[Column]) -> list[list[Column]]:
    names = dict.fromkeys(column.decision for column in columns)
    return [[column for column in columns if column.decision == name] for name in names]
