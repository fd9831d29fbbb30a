"""Fronts and their null models as tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.table import Table

from senet_nas.analysis.axes import shown
from senet_nas.analysis.console import plain_console
from senet_nas.analysis.front import Front
from senet_nas.analysis.fronts import RunFront
from senet_nas.analysis.null_models import KIND_LABELS, Twin, training_command
from senet_nas.analysis.random_search import RANDOM, RandomSearch, random_command, strategy_of
from senet_nas.cost import COSTS, IN_MILLIONS


def print_fronts(fronts: Sequence[RunFront]) -> None:
    """A table for each run, its hypervolume, and what it is to be held against."""
    console = plain_console()
    for each in fronts:
        console.print(_table(each.view.name, each.front))
        console.print(f"hypervolume {each.front.hypervolume:.6g} ({_reference(each.front)})")
        if each.front.points:
            _print_twins(console, each)
            _print_random(console, each)


def _table(name: str, front: Front) -> Table:
    failed = f", {front.failed} failed" if front.failed else ""
    rungs = f", {front.below} of them below rung {front.rung} left out" if front.rung else ""
    table = Table(title=f"{name}: front of {front.trials} trials{failed}{rungs}")
    columns = dict.fromkeys([*front.objectives, "accuracy", "macs", "params"])
    table.add_column("trial", justify="right")
    for column in columns:
        table.add_column(f"{column} (M)" if column in IN_MILLIONS else column, justify="right")
    table.add_column("architecture")
    table.add_column("")
    for point in front.points:
        values = [shown(column, point.scores.get(column)) for column in columns]
        mark = "knee" if point.is_knee else ""
        table.add_row(str(point.number), *values, point.architecture, mark)
    return table


def _reference(front: Front) -> str:
    point = ", ".join(f"{key} {shown(key, value)}" for key, value in front.reference.items())
    return f"reference point: {point}"


def _print_twins(console: Console, each: RunFront) -> None:
    nulls = each.nulls
    if nulls.fault is not None:
        console.print(f"null models: none, as {nulls.fault}")
        return
    table = Table(title="the front's networks but for their SE")
    table.add_column("null model", no_wrap=True)
    names = list(dict.fromkeys([*each.front.objectives, "params"]))
    for column in ("trials", "on front", "trained", *names):
        table.add_column(column, justify="right", no_wrap=True)
    for kind, label in KIND_LABELS.items():
        twins = [twin for twin in nulls.twins if twin.kind == kind]
        others = [twin for twin in twins if not twin.is_point]
        counts = (
            str(len(nulls.in_trials[kind])),
            str(len(twins) - len(others)),
            f"{sum(twin.trained is not None for twin in others)} of {len(others)}",
        )
        means = [_mean_difference(each.front, others, name) for name in names]
        table.add_row(label, *counts, *means)
    console.print(table)
    console.print(
        "trials, on front: such networks among them. trained: of those derived from the "
        "front's other points.\nThen what these have more than their points, in the mean; costs "
        "in percent.\nPoints are chosen for their accuracy and null models aren't: chance alone "
        "puts these somewhat lower.",
        soft_wrap=True,
    )
    volumes = ", ".join(
        f"{label} {volume.hypervolume:.6g} ({volume.networks} networks)"
        for label, volume in ((KIND_LABELS[kind], v) for kind, v in nulls.volumes.items())
    )
    console.print(
        f"hypervolume of those that have scores, to the same point: {volumes}", soft_wrap=True
    )
    if left := len(nulls.untrained()):
        command = training_command(each.view.folder.path)
        console.print(f"{left} null models are not trained: {command}", soft_wrap=True)


def _mean_difference(front: Front, twins: Sequence[Twin], name: str) -> str:
    points = {point.number: point.scores for point in front.points}
    found = []
    for twin in twins:
        here, there = points[twin.of].get(name), twin.all_scores.get(name)
        if here is not None and there is not None:
            relative = 100 / here if name in COSTS and here else 1.0
            found.append((there - here) * relative)
    if not found:
        return "-"
    return f"{mean(found):+.1f}%" if name in COSTS else f"{mean(found):+.2f}"


def _print_random(console: Console, each: RunFront) -> None:
    if each.random is not None:
        _print_random_search(console, each.random)
    elif strategy_of(each.view) == RANDOM:
        console.print("random search at equal budget: this run is random search itself")
    else:
        console.print(
            "random search at equal budget: none given (--random DIR). To make one: "
            f"{random_command(each.view)}",
            soft_wrap=True,
        )


def _print_random_search(console: Console, random: RandomSearch) -> None:
    share = "-" if random.covered is None else f"{random.covered:.0%}"
    console.print(
        f"random search at equal budget ({random.name}, its first {random.used:g} "
        f"{random.unit}): hypervolume {random.front.hypervolume:.6g}, {len(random.front.points)} "
        f"points; equals or beats {share} of this front",
        soft_wrap=True,
    )
    if random.is_short:
        console.print(f"the budget is not equal: this run had {random.budget:g} {random.unit}")
    if random.otherwise:
        console.print(f"they can't be compared: {'; '.join(random.otherwise)}", soft_wrap=True)
