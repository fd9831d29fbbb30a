"""The command that takes a network out of its run's supernet: subnet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Device, Json
from senet_nas.cli.output import show_values


@app.command()
def subnet(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A run that has a supernet.")],
    arch: Annotated[
        str | None, typer.Option(help="Trial number or architecture hash; else the knee.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The checkpoint; in a folder in DIR if not given.")
    ] = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """A network with its weights in the supernet, as a checkpoint: to evaluate, to export, or to
    train on."""
    from senet_nas.analysis.selection import pick
    from senet_nas.search import RunFolder
    from senet_nas.search.weight_sharing.subnets import take_subnet
    from senet_nas.training import save_checkpoint
    from senet_nas.training.device import as_device

    folder = RunFolder.open(source)
    record = pick(folder.trials(), folder.run_file().objectives, arch, str(source))
    checkpoint = take_subnet(folder, record, str(as_device(device)))
    if out is None:
        made = source / f"subnet-{record.architecture}"
        made.mkdir(exist_ok=True)
        out = made / "checkpoint.safetensors"
    save_checkpoint(out, checkpoint)
    assert record.scores is not None
    result = {
        "checkpoint": str(out),
        "trial": record.number,
        "validation_accuracy": record.scores["accuracy"],
        "params": int(record.scores["params"]),
        "macs": int(record.scores["macs"]),
        "image_size": checkpoint.image_size,
        "classes": len(checkpoint.classes),
    }
    show_values(f"taken from the supernet: trial {record.number}", result, as_json)
    print(f"written: {out}", file=sys.stderr)
