"""Commands that bring weights in and take them home: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Json
from senet_nas.cli.output import show_values


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    format_name: Annotated[str, typer.Option("--format", help="onnx.")],
    out: Annotated[
        Path | None, typer.Option(help="The file; beside CHECKPOINT if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a trained network in another format, and check it against the network."""
    from senet_nas.export import export as run_export
    from senet_nas.training import load_checkpoint

    default = checkpoint.parent / f"{checkpoint.stem}.{format_name}"
    exported = run_export(load_checkpoint(checkpoint), format_name, out or default).to_data()
    show_values("exported and checked", exported, as_json)
