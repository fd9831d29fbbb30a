"""The command that makes a run's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Json
from senet_nas.cli.output import print_json


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="DIR/report.html if not given.")
    ] = None,
    random: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A run of random search, to hold it against."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Another run to hold it against; may be repeated."),
    ] = None,
    gates: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="What `senet-nas gates --out` wrote of a network; may be repeated. "
            "DIR/gates.json if not given.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """One page of a run that works offline: front, networks, where SE stands, effects."""
    from senet_nas.analysis.report import write_report

    path = write_report(directory, out, random=random, beside=beside or (), gates=gates or ())
    if as_json:
        print_json({"written": str(path), "bytes": path.stat().st_size})
    else:
        print(f"written: {path}")
