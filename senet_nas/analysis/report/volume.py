"""How the front grew: its hypervolume after each evaluation that moved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import moocore
import numpy as np

from senet_nas.search import TrialRecord


def volume_curve(
    records: Sequence[TrialRecord],
    comparable: Sequence[TrialRecord],
    objectives: Mapping[str, str],
    reference: Mapping[str, float],
) -> dict[str, list[float]]:
    """`evaluations` finished (failed ones too), `device_seconds` spent on training and scoring by
    all workers together, `seconds` of the run, and `volume` of the front at that moment, in the
    objectives' own units: a row at the start, at each change and at the end."""
    signs = np.array([-1.0 if way == "max" else 1.0 for way in objectives.values()])
    worst = signs * np.array([reference[name] for name in objectives]) if reference else None
    counted = {(record.number, record.rung) for record in comparable}
    rows: list[tuple[float, ...]] = [(0, 0.0, 0.0, 0.0)]
    front = np.empty((0, len(objectives)))
    spent = 0.0
    for done, record in enumerate(records, start=1):
        spent += record.train_seconds
        scores = record.scores
        moved = False
        if worst is not None and scores and (record.number, record.rung) in counted:
            point = signs * np.array([scores[name] for name in objectives])
            if not (front <= point).all(axis=1).any():
                front = np.vstack([front[~(point <= front).all(axis=1)], point])
                moved = True
        if moved or done == len(records):
            volume = float(moocore.hypervolume(front, ref=worst)) if len(front) else 0.0
            rows.append((done, round(spent, 1), round(record.elapsed_seconds, 1), volume))
    names = ("evaluations", "device_seconds", "seconds", "volume")
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}
