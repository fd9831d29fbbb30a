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
    as_json: Json = False,
) -> None:
    """One page of a run that works offline: front, networks, where SE stands, effects."""
    from senet_nas.analysis.report import write_report
    from senet_nas.search import RunFolder

    path = write_report(RunFolder.open(directory), str(directory), out)
    if as_json:
        print_json({"written": str(path), "bytes": path.stat().st_size})
    else:
        print(f"written: {path}")
