"""Commands about what SE does in a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Data, DecodeWorkers, Device, Json, Split
from senet_nas.cli.output import counted_progress, print_json, show_values


@app.command()
def gates(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    data: Data = None,
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.train,
    images: Annotated[
        int | None,
        typer.Option(min=2, help="About how many, from all over the set; all, else."),
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
    from search_space.errors import InputError
    from senet_nas.analysis.gates import LOSSES, gates_of
    from senet_nas.analysis.gates_shown import draw_gates, print_gates
    from senet_nas.data import Reading
    from senet_nas.training import load_checkpoint

    for path in () if out is None else (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {out}: {path} is a file, and pictures go to a folder")
    loaded = load_checkpoint(checkpoint)
    with counted_progress("passes over the images") as advance:
        found = gates_of(
            loaded,
            data,
            split.value,
            device=device,
            images=images,
            losses=LOSSES if losses else (),
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


@app.command()
def fold(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    max_loss: Annotated[
        float, typer.Option("--max-loss", min=0.0, help="Points of top-1 that may be lost in all.")
    ] = 0.1,
    data: Data = None,
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.train,
    images: Annotated[
        int | None,
        typer.Option(min=2, help="About how many, from all over the set; all, else."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The new checkpoint; NAME.folded.safetensors, else.")
    ] = None,
    decode_workers: DecodeWorkers = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Take out the SE blocks whose gates hardly depend on the image."""
    from search_space.errors import InputError
    from senet_nas.analysis.fold import fold as fold_checkpoint
    from senet_nas.data import Reading
    from senet_nas.training import load_checkpoint, save_checkpoint

    loaded = load_checkpoint(checkpoint)
    path = out or checkpoint.with_suffix(".folded.safetensors")
    if path.resolve() == checkpoint.resolve():
        raise InputError(f"{path}: --out would replace the network that is folded")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    with counted_progress("passes over the images") as advance:
        folded, found = fold_checkpoint(
            loaded,
            data,
            max_loss,
            split.value,
            device=device,
            images=images,
            reading=Reading(workers=decode_workers),
            on_pass=advance,
        )
    save_checkpoint(path, folded)
    if as_json:
        print_json({**found.to_data(), "checkpoint": str(path)})
        return
    show_values(
        f"{checkpoint}: SE folded, by {found.images} {split.value} images",
        {
            "folded": ", ".join(found.folded) or "none",
            "top-1": f"{found.top1_before:.2f}% to {found.top1_after:.2f}%",
            "parameters": f"{found.params_before:,} to {found.params_after:,}",
            "latency": f"{found.latency_before:.2f} to {found.latency_after:.2f} ms (1 image, CPU)",
            **{f"kept: {block}": reason for block, reason in found.kept.items()},
            "checkpoint": str(path),
        },
        as_json,
    )
