"""Where SE pays in one network: how often it stands at each place, and what it does to accuracy.

For runs whose space is that of SE in one network (`published` or `retrofit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from search_space import InputError, SearchSpace
from senet_nas.analysis.front import front_of
from senet_nas.cost import cost
from senet_nas.search import RunFolder
from senet_nas.search.run_folder import at_highest_rung

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Place:
    """on_front, in_trials: the share of the front's points, and of all finished trials, that have
    SE there. effect: percentage points of validation accuracy that SE there adds, by a linear
    model of all places at once (least squares), with half the width of its 95% confidence interval;
    None where the trials are too few to tell places apart. params: that the place's first SE
    value adds."""

    name: str
    on_front: float
    in_trials: float
    effect: float | None
    half_width: float | None
    params: int

    @property
    def pays(self) -> str:
        """yes, no, open (the interval spans zero), or too few trials to tell."""
        if self.effect is None or self.half_width is None:
            return "too few"
        if abs(self.effect) <= self.half_width:
            return "open"
        return "yes" if self.effect > 0 else "no"


@dataclass(frozen=True)
class Places:
    """places: in the network's order. trials: that finished."""

    trials: int
    places: tuple[Place, ...]

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "trials": self.trials,
            "places": [asdict(place) | {"pays": place.pays} for place in self.places],
        }


def places_of(folder: RunFolder) -> Places:
    """What a run's trials say of each place.

    Raises `InputError` for a run over another kind of space, or with no finished trial.
    """
    run = folder.run_file()
    if not run.space.has_base:
        raise InputError(
            f"{folder.path}: {run.space.label()!r} is not a space of SE in one network, "
            "so it has no places to compare"
        )
    space = run.space.open()
    done = at_highest_rung(folder.trials())
    accuracy = [record.scores["accuracy"] for record in done if record.scores is not None]
    if not done:
        raise InputError(f"{folder.path}: the run has no finished trial yet")
    front = {point.number for point in front_of(done, run.objectives).points}
    has_se = np.array([[number > 0 for number in record.candidate] for record in done], float)
    effects, half_widths = effects_of(has_se, accuracy)
    is_front = np.array([record.number in front for record in done])
    added = _params_added(space, run.evaluation.image_size)
    places = tuple(
        Place(
            decision.name,
            float(has_se[is_front, index].mean()),
            float(has_se[:, index].mean()),
            effects[index],
            half_widths[index],
            added[index],
        )
        for index, decision in enumerate(space.decisions)
    )
    return Places(len(done), places)


def effects_of(
    has_se: np.ndarray, accuracy: Sequence[float]
) -> tuple[list[float | None], list[float | None]]:
    """Least squares of accuracy on the (trials, places) indicators: each place's coefficient and
    half the width of its confidence interval (Student's t). None for all where the trials are no
    more than the coefficients, and for a place that others determine."""
    trials, places = has_se.shape
    design = np.column_stack([np.ones(trials), has_se])
    freedom = trials - np.linalg.matrix_rank(design)
    if trials < places + 2:
        return [None] * places, [None] * places
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ design.T @ np.asarray(accuracy)
    residuals = np.asarray(accuracy) - design @ coefficients
    errors = np.sqrt(np.maximum(np.diag(inverse), 0) * (residuals @ residuals) / freedom)
    width = errors * stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)
    # What the design doesn't determine is not unit in the projection onto its rows.
    told = np.isclose(np.diag(inverse @ design.T @ design), 1.0)
    effects = [float(c) if t else None for c, t in zip(coefficients, told, strict=True)]
    widths = [float(w) if t else None for w, t in zip(width, told, strict=True)]
    return effects[1:], widths[1:]


def _params_added(space: SearchSpace, image_size: int) -> list[int]:
    def params(choices: dict[str, Any]) -> int:
        return cost(space.build(space.candidate(choices)), image_size).params

    base = params({})
    return [params({d.name: d.options[1]}) - base for d in space.decisions]
