"""What two runs differ in: their settings, their fronts, and what their fronts are built of."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search_space import InputError
from search_space.space import option_label
from senet_nas.analysis.difference import Pair, differing, flattened
from senet_nas.analysis.front import Front, front_of
from senet_nas.analysis.run_view import RunView

# Sections that say how a score comes about. Scores of runs that differ there are of other scales.
SCORING = ("evaluation", "fidelity", "supernet", "filter")
NOT_SCORING = ("evaluation.seed", "supernet.trust.")


@dataclass(frozen=True)
class DecisionDifference:
    """shares: of the front's points that take each option, by its label, where the decision
    counts; of both runs. distance: half the sum of their differences, from 0 (the same) to 1."""

    name: str
    shares: tuple[Mapping[str, float], Mapping[str, float]]
    distance: float


@dataclass(frozen=True)
class RunDifference:
    """names: as given. settings: those that differ. scored_otherwise: those of them by which scores
    come about, so that these can't be held against each other. fronts: over the objectives that
    both have; hypervolumes have one reference point. covered: the share of each front that a point
    of the other equals or beats in every objective (Zitzler and Thiele 1999). decisions: those
    whose options stand on the fronts in other shares, the furthest first; None, with the reason in
    `undecided`, where the runs' spaces are not the same."""

    names: tuple[str, str]
    settings: Mapping[str, Pair]
    scored_otherwise: tuple[str, ...]
    fronts: tuple[Front, Front]
    covered: tuple[float | None, float | None]
    decisions: tuple[DecisionDifference, ...] | None
    undecided: str | None

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {"kind": "runs", **asdict(self)}
        return data | {"fronts": [front.to_data() for front in self.fronts]}


def scored_otherwise(first: RunView, second: RunView) -> tuple[str, ...]:
    """The settings in which two runs differ and by which scores come about."""
    return tuple(n for n in differing(_settings(first), _settings(second)) if _scores(n))


def run_difference(first: RunView, second: RunView) -> RunDifference:
    """Raises `InputError` where the runs have no objective in common."""
    settings = differing(_settings(first), _settings(second))
    fronts = _fronts(first, second)
    undecided = _undecided(first, second)
    return RunDifference(
        names=(first.name, second.name),
        settings=settings,
        scored_otherwise=tuple(n for n in settings if _scores(n)),
        fronts=fronts,
        covered=(covered(*fronts), covered(fronts[1], fronts[0])),
        decisions=None if undecided else _decisions(first, second, fronts),
        undecided=undecided,
    )


def _settings(run: RunView) -> dict[str, Any]:
    path = run.folder.path / "run.toml"
    try:
        return flattened(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None


def _scores(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in SCORING and not name.startswith(NOT_SCORING)


def _fronts(first: RunView, second: RunView) -> tuple[Front, Front]:
    common = {n: way for n, way in first.objectives.items() if second.objectives.get(n) == way}
    if not common:
        raise InputError(
            f"the runs have no objective in common: {first.name} has "
            f"{_named(first.objectives)}, {second.name} {_named(second.objectives)}"
        )
    return (
        front_of(first.records, common, beside=second.comparable),
        front_of(second.records, common, beside=first.comparable),
    )


def _named(objectives: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({way})" for name, way in objectives.items())


def covered(front: Front, other: Front) -> float | None:
    """The share of a front that another covers; None where one is empty."""
    if not front.points or not other.points:
        return None
    signs = np.array([-1.0 if way == "max" else 1.0 for way in front.objectives.values()])
    one, two = (
        signs * np.array([[p.scores[name] for name in front.objectives] for p in each.points])
        for each in (front, other)
    )
    return float((two[None] <= one[:, None]).all(axis=2).any(axis=1).mean())


def _undecided(first: RunView, second: RunView) -> str | None:
    for run in (first, second):
        if run.fault is not None:
            return run.fault
    if first.space.fingerprint() != second.space.fingerprint():
        return "the runs are over different spaces"
    return None


def _decisions(
    first: RunView, second: RunView, fronts: Sequence[Front]
) -> tuple[DecisionDifference, ...]:
    found = []
    for position, decision in enumerate(first.space.decisions):
        shares = [
            _shares(run, front, position)
            for run, front in zip((first, second), fronts, strict=True)
        ]
        labels = [option_label(option) for option in decision.options]
        distance = sum(abs(shares[0].get(n, 0.0) - shares[1].get(n, 0.0)) for n in labels) / 2
        # A decision that counts on one front alone differs as far as can be.
        distance = 1.0 if bool(shares[0]) != bool(shares[1]) else distance
        if distance > 0:
            found.append(DecisionDifference(decision.name, (shares[0], shares[1]), distance))
    return tuple(sorted(found, key=lambda d: -d.distance))


def _shares(run: RunView, front: Front, position: int) -> dict[str, float]:
    options = run.space.decisions[position].options
    counts = Counter(
        option_label(options[point.candidate[position]])
        for point in front.points
        if run.space.is_active(point.candidate, position)
    )
    total = counts.total()
    return {label: count / total for label, count in counts.most_common()}
