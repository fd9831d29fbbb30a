"""Commands that test, and compare trainings: evaluate, ablate."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Data, DecodeWorkers, Device, Json, Sets, Split
from senet_nas.cli.output import print_json, show_values


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    data: Annotated[
        str | None, typer.Option("--data", help="A folder or archive; the sample if not given.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.test,
    decode_workers: DecodeWorkers = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Accuracy of a trained network on test images."""
    from senet_nas.data import Reading
    from senet_nas.training import evaluate_checkpoint, load_checkpoint

    accuracy = evaluate_checkpoint(
        load_checkpoint(checkpoint), data, split.value, device, Reading(workers=decode_workers)
    )
    result = asdict(accuracy)
    show_values(f"{checkpoint}, {split.value} images", result, as_json)


@app.command()
def ablate(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The variants to compare.")],
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Its folder; runs/out/ablation-NAME if not given.")
    ] = None,
    sets: Sets = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the networks, estimate the time, and stop.")
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Train variants of a network from several seeds and compare them; goes on where it stopped."""
    from senet_nas.analysis.ablation import plan, tabulate
    from senet_nas.analysis.ablation_tables import print_ablation
    from senet_nas.search.ablation import AblationProgress, load_ablation
    from senet_nas.search.ablation import ablate as run_ablation

    ablation = load_ablation(file, sets or [], data)
    folder = out or Path("runs/out") / f"ablation-{file.stem}"
    if dry_run:
        table = plan(ablation, device)
    else:
        with AblationProgress() as progress:
            table = tabulate(run_ablation(ablation, folder, progress, device))
    if as_json:
        print_json(table.to_data())
    else:
        print_ablation(table)
    if not dry_run:
        print(f"written: {folder}", file=sys.stderr)
