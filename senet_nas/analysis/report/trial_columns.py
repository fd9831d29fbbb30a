"""Trials by column, as the page reads them: short to write for thousands of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from senet_nas.analysis.axes import AXES, axis_label
from senet_nas.analysis.front import Front
from senet_nas.analysis.run_view import RunView
from senet_nas.cost import IN_MILLIONS
from senet_nas.search import TrialRecord

DIGITS = 6  # of a score: what a plot can't show isn't written


def trial_columns(view: RunView, front: Front) -> dict[str, Any]:
    """`trials`: a list for each column, over the trials that can be compared. `front`: the rows of
    those that nothing dominates, cheap to dear, `knee` one of them. `axes`: the scores that all of
    them have. `failed`: trials with the reason of each."""
    records = view.comparable
    rows = {record.number: row for row, record in enumerate(records)}
    axes = _axes(records, view.objectives)
    return {
        "trials": {
            "number": [record.number for record in records],
            "architecture": [record.architecture for record in records],
            "scores": {
                axis["name"]: [_short((r.scores or {})[axis["name"]]) for r in records]
                for axis in axes
            },
            "seconds": [round(record.train_seconds, 1) for record in records],
            "epochs": [_short(record.epochs) for record in records],
            "attempts": [record.attempts for record in records],
            "curve": [[_short(loss, 4) for loss in record.curve] for record in records],
            "parent": [record.parent for record in records],
            "parents": [record.parents for record in records],
        },
        "axes": axes,
        "front": [rows[point.number] for point in front.points],
        "knee": next((rows[p.number] for p in front.points if p.is_knee), None),
        "failed": [
            {"number": r.number, "rung": r.rung, "attempts": r.attempts, "reason": r.reason or ""}
            for r in view.records
            if r.scores is None
        ],
    }


def _axes(records: Sequence[TrialRecord], objectives: Mapping[str, str]) -> list[dict[str, Any]]:
    scores = [record.scores or {} for record in records]
    names = set.intersection(*(set(each) for each in scores)) if scores else set()
    ordered = dict.fromkeys([*objectives, *AXES, *sorted(names)])
    return [
        {
            "name": name,
            "label": axis_label(name),
            "way": objectives.get(name, AXES.get(name, "min")),
            "unit": 1e6 if name in IN_MILLIONS else 1,
        }
        for name in ordered
        if name in names
    ]


def _short(value: float, digits: int = DIGITS) -> float | int | None:
    if not math.isfinite(value):
        return None  # JSON has no others
    if float(value).is_integer():
        return int(value)
    return float(f"{value:.{digits}g}")
