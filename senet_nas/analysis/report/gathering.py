"""All that the page shows of a run, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from senet_nas.analysis.front import front_of
from senet_nas.analysis.report.effects import effects
from senet_nas.analysis.report.facts import facts
from senet_nas.analysis.report.gates import gates
from senet_nas.analysis.report.networks import network_tables
from senet_nas.analysis.report.nulls import nulls
from senet_nas.analysis.report.peers import Company
from senet_nas.analysis.report.se_map import se_map
from senet_nas.analysis.report.trial_columns import trial_columns
from senet_nas.analysis.report.trust import trust
from senet_nas.analysis.report.volume import volume_curve
from senet_nas.analysis.run_view import RunView
from senet_nas.training.retrain import CHECKPOINT_FILE


def gather(
    view: RunView,
    random: RunView | None = None,
    beside: Sequence[RunView] = (),
    gates_files: Sequence[Path] = (),
) -> dict[str, Any]:
    """A run as the page reads it, with the runs that it is held against. Where its space has
    changed since, what needs it is left out and `fault` says why. Raises `InputError` for what
    can't be read or compared."""
    company = Company.of(view, random, beside)
    front = front_of(view.records, view.objectives, beside=company.others)
    data = {
        "name": view.name,
        "checkpoint": CHECKPOINT_FILE,
        "objectives": dict(front.objectives),
        "counts": {
            "trials": front.trials,
            "failed": front.failed,
            "rung": front.rung,
            "below": front.below,
        },
        "hypervolume": front.hypervolume,
        "reference": dict(front.reference),
        **trial_columns(view, front),
        "volume": volume_curve(view.records, view.comparable, view.objectives, front.reference),
        "peers": company.peers(front) if front.points else [],
        "nulls": nulls(view, front) if front.points else {"fault": "no trial has finished"},
        "gates": gates(view.folder, gates_files),
        "trust": trust(view.folder),
        **facts(view.folder),
        "fault": view.fault,
    }
    return data | (_of_space(view, data["front"]) if view.fault is None else {})


def _of_space(view: RunView, front: list[int]) -> dict[str, Any]:
    networks = [view.build(record.candidate) for record in view.comparable]
    classes = view.num_classes if networks else 1
    return {
        "networks": network_tables(networks, front, view.image_size, classes),
        "se_map": se_map(networks, set(front)),
        "effects": effects(view.space, view.comparable),
    }
