"""Fronts of several runs side by side, each with its null models."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_space import InputError
from senet_nas.analysis.axes import parse_axes
from senet_nas.analysis.front import Front, front_of
from senet_nas.analysis.null_models import NullModels, null_models
from senet_nas.analysis.null_trials import NullTrials
from senet_nas.analysis.random_search import RandomSearch, check_random, random_search
from senet_nas.analysis.run_view import Advance, RunView
from senet_nas.search import RunFolder
from senet_nas.search.launches import launches


@dataclass(frozen=True)
class RunFront:
    """A run's front. random: None where no random search was given."""

    view: RunView
    front: Front
    nulls: NullModels
    random: RandomSearch | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        random = {} if self.random is None else {"random": self.random.to_data()}
        return self.front.to_data() | {
            "null_models": self.nulls.to_data() | random,
            "launches": [asdict(launch) for launch in launches(self.view.folder)],
        }


def open_runs(
    paths: Sequence[Path], random: Path | None, axes: str | None, advance: Advance
) -> tuple[list[RunView], RunView | None]:
    """Runs, and the random search to hold them against, over axes as they are given, or over each
    run's own objectives. Raises `InputError` for other axes, and for a run that isn't random."""
    objectives = None if axes is None else parse_axes(axes)
    views = [RunView.open(str(path), RunFolder.open(path)) for path in dict.fromkeys(paths)]
    against = None if random is None else RunView.open(str(random), RunFolder.open(random))
    if against is not None:
        check_random(against)
    if objectives is not None:
        views = [view.with_axes(objectives, advance) for view in views]
        against = None if against is None else against.with_axes(objectives, advance)
    return views, against


def train_nulls(fronts: Sequence[RunFront], advance: Advance) -> None:
    """Train, as each run's trials were, those null models of its front that nothing is known of.

    Raises `InputError` where a run has none, or where they couldn't be compared with its trials.
    """
    for each in fronts:
        if each.nulls.fault is not None:
            raise InputError(f"{each.view.name}: no null models: {each.nulls.fault}")
        networks = {twin.architecture: twin.candidate for twin in each.nulls.untrained()}
        if networks:
            NullTrials(each.view.folder).train(networks, advance)


def load_fronts(views: Sequence[RunView], random: RunView | None = None) -> list[RunFront]:
    """The front of each run over its objectives. Runs with the same objectives share the reference
    point of their hypervolumes, with the random search that they are held against.

    Raises `InputError` for an objective that a run's trials, or the random search's, don't have.
    """
    found = []
    for view in views:
        beside = [
            record
            for other in views
            if other.objectives == view.objectives
            for record in other.comparable
        ]
        against = None if random is None else random.with_axes(view.objectives)
        if against is not None:
            beside += against.comparable
        front = front_of(view.records, view.objectives, beside=beside)
        found.append(
            RunFront(
                view,
                front,
                null_models_or_fault(view, front),
                None if against is None else random_search(view, against, front, beside),
            )
        )
    return found


def null_models_or_fault(view: RunView, front: Front) -> NullModels:
    """The null models of a run's front. The reason where they can't be had, such as images that lie
    no more where they did: a front is to be seen all the same."""
    try:
        return null_models(view, front)
    except InputError as error:
        return NullModels(fault=str(error))


def fronts_to_data(fronts: Sequence[RunFront]) -> dict[str, Any]:
    """For one run its front; for several, each under its folder's name."""
    if len(fronts) == 1:
        return fronts[0].to_data()
    return {each.view.name: each.to_data() for each in fronts}


def fronts_to_csv(fronts: Sequence[RunFront]) -> str:
    """A line a point, and a line each of its null models. kind: `front`, `none`, `everywhere`,
    `late` or `random`; trial: of the run, or the one that a null model was derived from, or of the
    random search."""
    rows = [row for each in fronts for row in _rows(each)]
    scores = sorted({name for row in rows for name in row[-1]})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "kind", "trial", "architecture", "knee", "trained", *scores])
    for *cells, values in rows:
        writer.writerow([*cells, *(values.get(score, "") for score in scores)])
    return text.getvalue()


def _rows(each: RunFront) -> list[tuple[str, str, int, str, bool, bool, Mapping[str, float]]]:
    name = each.view.name
    rows: list[tuple[str, str, int, str, bool, bool, Mapping[str, float]]] = [
        (name, "front", p.number, p.architecture, p.is_knee, True, p.scores)
        for p in each.front.points
    ]
    for twin in each.nulls.twins:
        is_trained = twin.trained is not None
        rows.append(
            (name, twin.kind, twin.of, twin.architecture, False, is_trained, twin.all_scores)
        )
    if each.random is not None:
        rows += [
            (name, "random", p.number, p.architecture, p.is_knee, True, p.scores)
            for p in each.random.front.points
        ]
    return rows
