"""Runs that a page's run is held against: their hypervolume as they went on, and their fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from senet_nas.analysis.front import Front, front_of
from senet_nas.analysis.random_search import RandomSearch, random_search
from senet_nas.analysis.report.volume import volume_curve
from senet_nas.analysis.run_difference import scored_otherwise
from senet_nas.analysis.run_view import RunView
from senet_nas.search import TrialRecord


@dataclass(frozen=True)
class Company:
    """A run with the others of a page, all over its objectives. random: of random search; beside:
    any others."""

    view: RunView
    random: RunView | None
    beside: Sequence[RunView]

    @classmethod
    def of(cls, view: RunView, random: RunView | None, beside: Sequence[RunView]) -> Company:
        """Costs that the others' trials lack are counted. Raises `InputError` where they lack a
        measured score that is an objective of the run."""
        return cls(
            view,
            None if random is None else random.with_axes(view.objectives),
            [other.with_axes(view.objectives) for other in beside],
        )

    @property
    def others(self) -> list[TrialRecord]:
        """Their trials, which count for the reference point as the run's own do."""
        views = [*self.beside, *([] if self.random is None else [self.random])]
        return [record for view in views for record in view.comparable]

    def peers(self, front: Front) -> list[dict[str, Any]]:
        """`name`, `kind`, `hypervolume` and `front` of each; `volume`: see `volume_curve`;
        `otherwise`: settings by which its scores came about in another way. Of random search also
        what it had found for as much as the run spent, see `RandomSearch`. front: the run's.
        """
        everything = [*self.view.comparable, *self.others]
        found = [self._peer("beside", other, front, everything) for other in self.beside]
        if self.random is not None:
            equal = random_search(self.view, self.random, front, everything)
            peer = self._peer("random", self.random, front, everything)
            found.append(peer | {"otherwise": equal.otherwise, "equal": _equal(equal)})
        return found

    def _peer(
        self, kind: str, view: RunView, front: Front, everything: Sequence[TrialRecord]
    ) -> dict[str, Any]:
        names = list(front.objectives)
        own = front_of(view.records, front.objectives, beside=everything)
        return {
            "name": view.name,
            "kind": kind,
            "hypervolume": own.hypervolume,
            "front": [_scores(point.scores, names) for point in own.points],
            "volume": volume_curve(
                view.records, view.comparable, front.objectives, front.reference
            ),
            "otherwise": scored_otherwise(self.view, view),
        }


def _scores(scores: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    return {name: scores[name] for name in names}


def _equal(random: RandomSearch) -> dict[str, Any]:
    return {
        "unit": random.unit,
        "budget": random.budget,
        "used": random.used,
        "is_short": random.is_short,
        "hypervolume": random.front.hypervolume,
        "covered": random.covered,
    }
