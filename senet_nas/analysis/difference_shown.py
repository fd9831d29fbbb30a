"""Differences between networks and between runs as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from senet_nas.analysis.console import plain_console
from senet_nas.analysis.difference import NetworkDifference
from senet_nas.analysis.run_difference import RunDifference

_MOST_DECISIONS = 15


def print_networks(found: NetworkDifference) -> None:
    """What differs at each place, and the costs."""
    console = plain_console()
    if found.same:
        console.print("the same network by structure")
    if found.places:
        table = _table("what differs", "place", "setting", found.names)
        for place in found.places:
            for name, values in place.differs.items():
                table.add_row(place.path, name, *map(_text, values))
        console.print(table)
    title = f"{found.image_size}x{found.image_size}, {found.classes} classes"
    table = _table(title, "cost", None, found.names)
    table.add_column("", justify="right")
    for name, (one, other) in found.costs.items():
        change = f"{100 * (other - one) / one:+.2f}%" if one else ""
        table.add_row(name, f"{one:,}", f"{other:,}", change)
    console.print(table)


def print_runs(found: RunDifference) -> None:
    """Settings, fronts, and the decisions that differ most."""
    console = plain_console()
    if found.settings:
        table = _table("settings that differ", "setting", None, found.names)
        for name, values in found.settings.items():
            table.add_row(name, *map(_text, values))
        console.print(table)
    else:
        console.print("the runs have the same settings")
    if found.scored_otherwise:
        names = ", ".join(found.scored_otherwise)
        console.print(f"scores came about in different ways, and can't be compared: {names}")
    _print_fronts(console, found)
    if found.decisions is None:
        console.print(f"decisions aren't compared: {found.undecided}")
        return
    if not found.decisions:
        console.print("all decisions stand on both fronts in the same shares")
        return
    shown = found.decisions[:_MOST_DECISIONS]
    title = f"decisions on the fronts: {len(shown)} of {len(found.decisions)} that differ"
    table = _table(title, "decision", None, found.names)
    table.add_column("distance", justify="right")
    for decision in shown:
        table.add_row(decision.name, *map(_shares, decision.shares), f"{decision.distance:.2f}")
    console.print(table)


def _print_fronts(console: Console, found: RunDifference) -> None:
    one, other = found.fronts
    over = ", ".join(f"{name} ({way})" for name, way in one.objectives.items())
    table = _table(f"fronts over {over}", "", None, found.names)
    table.add_row("trials", str(one.trials), str(other.trials))
    table.add_row("failed", str(one.failed), str(other.failed))
    table.add_row("points on the front", str(len(one.points)), str(len(other.points)))
    table.add_row("hypervolume", f"{one.hypervolume:.6g}", f"{other.hypervolume:.6g}")
    table.add_row(
        "of it equalled or beaten by the other",
        *("-" if share is None else f"{share:.0%}" for share in found.covered),
    )
    console.print(table)
    reference = ", ".join(f"{n} {v:g}" for n, v in (one.reference or other.reference).items())
    console.print(f"reference point of both hypervolumes: {reference or 'no trial has finished'}")


def _table(title: str, name: str, second: str | None, names: tuple[str, str]) -> Table:
    table = Table(title=title)
    for column in [name] if second is None else [name, second]:
        table.add_column(column)
    for column in names:
        table.add_column(column, overflow="fold")
    return table


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {share:.0%}" for label, share in shares.items()) or "doesn't count"
