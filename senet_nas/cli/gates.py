"""Commands about what SE does in a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Data, DecodeWorkers, Device, Json, Split
from senet_nas.cli.output import counted_progress, print_json


@app.command()
def gates(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    data: Data = None,
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.train,
    images: Annotated[
        int | None, typer.Option(min=2, help="About how many of them, the first; all, else.")
    ] = None,
    losses: Annotated[
        bool, typer.Option(help="Also what is lost without each block: two passes more for each.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="A folder for gates.json and pictures.")] = None,
    decode_workers: DecodeWorkers = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """What the excitations do, by class and depth, and what each SE block is worth."""
    from senet_nas.analysis.gates import gates_of
    from senet_nas.analysis.gates_shown import draw_gates, print_gates
    from senet_nas.data import Reading
    from senet_nas.training import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    with counted_progress("passes over the images") as advance:
        found = gates_of(
            loaded,
            data,
            split.value,
            device=device,
            images=images,
            with_losses=losses,
            reading=Reading(workers=decode_workers),
            on_pass=advance,
        )
    if out is not None:
        found.save(out)
        draw_gates(found, out)
    if as_json:
        print_json(found.to_data())
    else:
        print_gates(str(checkpoint), found)
