"""Whether a latency table is that of a run's networks, and what a run says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search_space import InputError, SearchSpace, load
from senet_nas.data import load_images
from senet_nas.latency import LatencyTable, parts_of_space
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.run_file import RunFile, load_run_file

SAID = ("device", "machine", "threads", "batch_size", "precision", "image_size")


def check_table(run: RunFile, space: SearchSpace, num_classes: int) -> None:
    """Raise `InputError` where the run's table is of another space, image size or number of
    classes, or lacks parts of the space's networks."""
    path, size = run.evaluation.latency_table, run.evaluation.image_size
    where = f"evaluation.latency_table: {path}"
    named = f"{run.space.name} --image-size {size} --classes {num_classes}"
    what = named if run.space.name else "RUN.toml"
    measures = f"`senet-nas latency-table {what} --all --out {path}` measures"
    if path is not None and not Path(path).exists():
        raise InputError(f"{where}: no such file; {measures} one")
    table = run.evaluation.open_table()
    if table is None:
        return
    measured = table.conditions
    if measured.fingerprint != space.fingerprint():
        raise InputError(
            f"{where} is of the space {measured.space!r} ({measured.fingerprint}), and the run's "
            f"is {run.space.label()!r} ({space.fingerprint()})"
        )
    wanted = {"image_size": size, "classes": num_classes}
    for name, value in wanted.items():
        if getattr(measured, name) != value:
            raise InputError(
                f"{where} was measured with {name} {getattr(measured, name)}, and the run has "
                f"{value}"
            )
    parts = parts_of_space(space, size, num_classes)
    if lacking := table.lacking(parts.values()):
        raise InputError(
            f"{where} lacks {len(lacking):,} of the {len(parts):,} parts of the space; "
            f"{measures} them"
        )


def named_for_table(name: str) -> tuple[SearchSpace, dict[str, Any], Path]:
    """The space of a name or of a run file (NAME.toml), the conditions that the file sets, and
    where the table goes. Raises `InputError` for what isn't there."""
    if not name.endswith(".toml"):
        return load(name), {}, Path(f"latency_{name}.json")
    run = load_run_file(Path(name))
    size, own = run.evaluation.image_size, run.evaluation.latency_table
    classes = len(load_images(run.evaluation.data, "train", size).classes)
    path = Path(own or f"latency_{Path(name).stem}.json")
    return run.space.open(), {"image_size": size, "classes": classes}, path


def said(table: LatencyTable) -> dict[str, Any]:
    """What a predicted latency holds for, as trials keep it."""
    return {"predicted": True, **{name: getattr(table.conditions, name) for name in SAID}}


def predicted_by(evaluation: EvaluationSection) -> dict[str, Any] | None:
    """What the latency of a run's trials holds for, where it is predicted."""
    table = evaluation.open_table()
    return None if table is None else said(table)


def in_words(table: LatencyTable) -> str:
    """The same in a line, for people."""
    held = table.conditions
    threads = f"{held.threads} thread{'s' * (held.threads != 1)}"
    return (
        f"{held.device}, {held.machine}, {threads}, batch {held.batch_size}, {held.precision}, "
        f"{held.image_size}x{held.image_size}, {len(table.parts):,} parts"
    )
