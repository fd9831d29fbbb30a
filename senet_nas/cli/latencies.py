"""The command that measures the parts of a space's networks: latency-table."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Json
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
    name: Annotated[
        str,
        typer.Argument(metavar="SPACE|RUN.toml", help="A run's space, image size and classes."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The table, latency_SPACE.json else. Extended where it is there already, under "
            "its own conditions."
        ),
    ] = None,
    networks: Annotated[
        int, typer.Option(min=1, help="Drawn from the space; their parts are measured.")
    ] = 1000,
    every: Annotated[
        bool, typer.Option("--all", help="Every part of the space, as a run needs them.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, if not given, or cuda.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the CPU; torch's own, else.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images in an inference; 1, else.")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="fp32, if not given; bf16: autocast.")
    ] = None,
    clock: Annotated[
        Clock | None,
        typer.Option(help="wall, else; cpu: CPU time, where other work runs beside it."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Each figure is their median; 20, else.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="The space's own, else.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="10, else.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many parts and seconds, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure each distinct block of a space's networks once, to predict latency by their sum."""
    from search_space import InputError
    from senet_nas.latency import drawn, expected_seconds, open_or_new, parts_of_space
    from senet_nas.search.tabled_latency import named_for_table
    from senet_nas.training.device import as_device

    space, of_run, path = named_for_table(name)
    path = out or path
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder")
    if not dry_run and not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: nothing can be written there")
    given = {
        "image_size": image_size,
        "classes": classes,
        "device": device,
        "threads": threads,
        "batch_size": batch_size,
        "precision": None if precision is None else precision.value,
        "clock": None if clock is None else clock.value,
        "repeats": repeats,
    }
    as_device(device or "cpu")
    given |= {key: value for key, value in of_run.items() if given[key] is None}
    table = open_or_new(path, space, {k: v for k, v in given.items() if v is not None})
    conditions, known = table.conditions, len(table.parts)
    found: dict[str, Any] = asdict(conditions) | {"known": known}
    if every:
        parts = parts_of_space(space, conditions.image_size, conditions.classes)
        missing = table.lacking(parts.values())
        found["new"] = len(missing)
    else:
        with counted_progress("networks drawn") as advance:
            missing, unseen = table.missing_of(drawn(space, networks), networks, advance)
        found |= {"new": len(missing), "unseen": round(unseen, 4)}
    if dry_run:
        found["seconds"] = round(expected_seconds(missing, conditions), 1)
        show_values(f"{path}: what it would take", found, as_json)
        return
    with counted_progress("parts measured") as advance:
        table.measure(missing, advance, lambda: table.write(path))
    if not path.exists():
        table.write(path)
    found["seconds"] = round(table.seconds, 1)
    show_values(f"latency table of {space.name}", found, as_json)
    print(f"written: {path}", file=sys.stderr)
