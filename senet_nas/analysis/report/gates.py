"""The gates of trained networks as the page draws them: the SE paper's figures 6 and 7."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_space import InputError
from senet_nas.analysis.gate_statistics import rounded
from senet_nas.analysis.gates import GATES_FILE, BlockGates, NetworkGates
from senet_nas.analysis.gates_shown import CLASSES_DRAWN
from senet_nas.search import RunFolder

DIGITS = 3  # of a gate: what a plot can't show isn't written


def gates(folder: RunFolder, given: Sequence[Path]) -> list[dict[str, Any]]:
    """Of each `gates.json`, or folder that holds one: what it was made of, `classes` that are
    drawn, and `blocks`. Where none is given, of the run's own folder, where it has one; `fault`
    says why that can't be shown.

    Raises `InputError` for a given one that can't be read.
    """
    if given:
        return [_network(_file(path)) for path in given]
    own = folder.path / GATES_FILE
    if not own.is_file():
        return []
    try:
        return [_network(own)]
    except InputError as error:
        return [{"name": str(own), "fault": str(error)}]


def _file(path: Path) -> Path:
    return path / GATES_FILE if path.is_dir() else path


def _network(path: Path) -> dict[str, Any]:
    found = NetworkGates.load(path)
    return {
        "name": str(path),
        "images": found.images,
        "split": found.split,
        "top1": found.top1,
        "classes": _drawn_classes(found),
        "blocks": [_block(block) for block in found.blocks],
    }


def _drawn_classes(found: NetworkGates) -> list[str]:
    seen = found.blocks[0].statistics.classes if found.blocks else []
    return [found.classes[number] for number in seen[:CLASSES_DRAWN]]


def _block(block: BlockGates) -> dict[str, Any]:
    s = block.statistics
    return {
        "path": block.path.removesuffix(".se"),
        "se": block.se,
        "params": block.params,
        "mean": rounded(s.mean, DIGITS),
        "class_mean": rounded(s.class_mean[:CLASSES_DRAWN], DIGITS),
        "class_deviation": rounded(s.class_deviation[:CLASSES_DRAWN], DIGITS),
        "shares": rounded([s.by_channel, s.by_class, s.by_image], DIGITS + 1),
        "by_place": rounded(s.by_place, DIGITS + 1),
        "ends": rounded([s.low, s.high], DIGITS + 1),
        "lost": [block.lost_removed, block.lost_frozen],
    }
