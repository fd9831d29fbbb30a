"""The command that measures the parts of a space's networks: latency-table."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Classes, Json
from senet_nas.cli.output import counted_progress, show_values


class Precision(Enum):
    """What a network computes in."""

    fp32 = "fp32"
    bf16 = "bf16"


class Clock(Enum):
    """What time is read from."""

    wall = "wall"
    cpu = "cpu"


@app.command()
def latency_table(
    name: Annotated[str, typer.Argument(metavar="SPACE")],
    out: Annotated[
        Path | None, typer.Option(help="The table: extended where it is there already.")
    ] = None,
    networks: Annotated[
        int, typer.Option(min=1, help="Drawn from the space; their parts are measured.")
    ] = 1000,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the CPU; torch's own, else.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in an inference.")] = 1,
    precision: Annotated[Precision, typer.Option(help="bf16: autocast.")] = Precision.fp32,
    clock: Annotated[
        Clock, typer.Option(help="cpu: the process's CPU time, where other work runs beside it.")
    ] = Clock.wall,
    repeats: Annotated[int, typer.Option(min=1, help="Each figure is their median.")] = 20,
    image_size: Annotated[int | None, typer.Option(min=1, help="The space's own, else.")] = None,
    classes: Classes = 10,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many parts and seconds, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure each distinct block of a space's networks once, to predict latency by their sum."""
    from search_space import InputError, load
    from senet_nas.latency import LatencyTable, conditions_here, drawn, expected_seconds
    from senet_nas.training.device import as_device

    space = load(name)
    as_device(device)
    conditions = conditions_here(
        space,
        image_size=image_size or space.image_size or 32,
        classes=classes,
        device=device,
        threads=threads,
        batch_size=batch_size,
        precision=precision.value,
        clock=clock.value,
        repeats=repeats,
    )
    path = out or Path(f"latency_{name}.json")
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder")
    table = LatencyTable(conditions)
    if path.exists():
        table = LatencyTable.read(path)
        table.check_extends(conditions, path)
    known = len(table.parts)
    with counted_progress("networks drawn") as advance:
        missing, unseen = table.missing_of(drawn(space, networks), networks, advance)
    found = asdict(conditions) | {"known": known, "new": len(missing), "unseen": round(unseen, 4)}
    if dry_run:
        found["seconds"] = round(expected_seconds(missing, conditions), 1)
        show_values(f"{path}: what it would take", found, as_json)
        return
    with counted_progress("parts measured") as advance:
        table.measure(missing, advance, lambda: table.write(path))
    if not path.exists():
        table.write(path)
    found["seconds"] = round(table.seconds, 1)
    show_values(f"latency table of {name}", found, as_json)
    print(f"written: {path}", file=sys.stderr)
