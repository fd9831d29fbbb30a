"""The command that brings weights in: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Json
from senet_nas.cli.output import show_values


@app.command("import")
def import_weights(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="timm:NAME, torchvision:NAME, package.module:f."),
    ],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")],
    weights: Annotated[
        str, typer.Option(help="pretrained, random, or a file of weights.")
    ] = "pretrained",
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes; the weights' own if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="For random weights.")] = 0,
    as_json: Json = False,
) -> None:
    """Bring another library's network and weights in as a checkpoint, checked against it."""
    from senet_nas.training import save_checkpoint
    from senet_nas.training.imports import import_checkpoint

    checkpoint = import_checkpoint(network, weights, classes, seed)
    save_checkpoint(out, checkpoint)
    result = {
        "checkpoint": str(out),
        "params": sum(p.numel() for p in checkpoint.network().parameters()),
        "classes": len(checkpoint.classes),
        "image_size": checkpoint.image_size,
        **checkpoint.metadata,
    }
    show_values(f"imported {network}", result, as_json)
