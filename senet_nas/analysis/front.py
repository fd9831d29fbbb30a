"""The front of a run: its non-dominated trials, their hypervolume, and the knee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np

from search_space import Candidate, InputError
from senet_nas.search import TrialRecord
from senet_nas.search.run_folder import at_highest_rung


@dataclass(frozen=True)
class Point:
    """A trial on the front. number: of the trial; architecture: its structural hash."""

    number: int
    architecture: str
    candidate: Candidate
    scores: Mapping[str, float]
    is_knee: bool


@dataclass(frozen=True)
class Front:
    """points: sorted from cheap to dear by the last objective. hypervolume: the volume, in the
    objectives' own units, between the front and `reference`, the worst value of each objective
    among all trials that finished (of the runs shown together). trials, failed: their
    numbers. Where trials are trained in rungs, all this is of those that reached `rung`, the
    highest that any did, and below it are so many more: scores of different rungs can't be
    compared."""

    objectives: Mapping[str, str]
    points: tuple[Point, ...]
    hypervolume: float
    reference: Mapping[str, float]
    trials: int
    failed: int
    rung: int = 0
    below: int = 0

    def knee(self) -> Point:
        """The point furthest from the line between the front's ends. `InputError` if empty."""
        for point in self.points:
            if point.is_knee:
                return point
        raise InputError("the run has no finished trial yet")

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "objectives": dict(self.objectives),
            "trials": self.trials,
            "failed": self.failed,
            **({"rung": self.rung, "below": self.below} if self.rung else {}),
            "hypervolume": self.hypervolume,
            "reference": dict(self.reference),
            "points": [
                {
                    "number": point.number,
                    "architecture": point.architecture,
                    "candidate": list(point.candidate),
                    "scores": dict(point.scores),
                    "knee": point.is_knee,
                }
                for point in self.points
            ],
        }


def front_of(
    records: Sequence[TrialRecord],
    objectives: Mapping[str, str],
    beside: Sequence[TrialRecord] = (),
) -> Front:
    """The front of the trials that finished, at the highest rung that any reached; of equal points
    the first.

    objectives: "max" or "min" by the name of a score. beside: trials of other runs, that count
    for the reference point, so that hypervolumes can be compared. Raises `InputError` for a score
    that the trials don't have.
    """
    highest = at_highest_rung(records)
    done = [(record, record.scores) for record in highest if record.scores is not None]
    trials = len({record.number for record in records})
    failed = sum(record.scores is None for record in records)
    if not done:
        return Front(objectives, (), 0.0, {}, trials, failed)
    others = [record.scores for record in beside if record.scores is not None]
    for name in objectives:
        if any(name not in scores for scores in [*others, *(scores for _, scores in done)]):
            known = sorted(set.intersection(*(set(scores) for _, scores in done)))
            raise InputError(f"the trials have no score {name!r} (they have {', '.join(known)})")
    signs = np.array([-1.0 if way == "max" else 1.0 for way in objectives.values()])
    losses = signs * np.array([[scores[name] for name in objectives] for _, scores in done])
    worst = [signs * np.array([[s[name] for name in objectives] for s in others])] if others else []
    reference = np.concatenate([losses, *worst]).max(axis=0)
    on_front = np.flatnonzero(moocore.is_nondominated(losses, keep_weakly=False))
    on_front = on_front[np.argsort(losses[on_front, -1], kind="stable")]
    knee = int(np.argmax(_bend(losses[on_front])))
    points = tuple(
        Point(
            done[index][0].number,
            done[index][0].architecture,
            done[index][0].candidate,
            done[index][1],
            position == knee,
        )
        for position, index in enumerate(on_front)
    )
    volume = float(moocore.hypervolume(losses[on_front], ref=reference))
    named = dict(zip(objectives, (signs * reference).tolist(), strict=True))
    rung = highest[0].rung
    reached = {record.number for record in records if record.rung >= rung}
    return Front(objectives, points, volume, named, trials, failed, rung, trials - len(reached))


def hypervolume_of(
    scores: Sequence[Mapping[str, float]],
    objectives: Mapping[str, str],
    reference: Mapping[str, float],
) -> float:
    """The volume between networks with these scores and a reference point, in the objectives' own
    units; what is beyond the point adds nothing."""
    if not scores:
        return 0.0
    signs = np.array([-1.0 if way == "max" else 1.0 for way in objectives.values()])
    losses = signs * np.array([[each[name] for name in objectives] for each in scores])
    return float(
        moocore.hypervolume(losses, ref=signs * np.array([reference[name] for name in objectives]))
    )


def _bend(losses: np.ndarray) -> np.ndarray:
    """How far each point of a front lies below the plane through its ends, in units of the
    front's extent, (points,). The largest is the knee (Das 1999, normal-boundary)."""
    low, high = losses.min(axis=0), losses.max(axis=0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    depth: np.ndarray = 1.0 - scaled.sum(axis=1)
    return depth
