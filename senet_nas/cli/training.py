"""Commands that train and test: retrain, evaluate, ablate."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Data, Device, Json, Sets, Split
from senet_nas.cli.output import print_json, show_values


@app.command()
def retrain(
    source: Annotated[str, typer.Argument(metavar="DIR|NAME|ARCH.json")],
    recipe: Annotated[str, typer.Option(help="A recipe's name or file.")],
    arch: Annotated[
        str | None, typer.Option(help="Trial number or architecture hash; else the knee.")
    ] = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to; a folder in DIR if not given.")
    ] = None,
    sets: Sets = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images; the run's, or their own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Train a point of the front, or any network, in full; goes on where it stopped."""
    from senet_nas.analysis.selection import choose
    from senet_nas.training.progress import retrain_with_progress

    choice = choose(source, arch, data, out, recipe)
    result = retrain_with_progress(
        choice.architecture,
        choice.data,
        recipe,
        sets or [],
        choice.out,
        seed=seed,
        device=device,
        image_size=image_size or choice.image_size,
        start=choice.start,
    )
    show_values(f"retrained {choice.label}", result, as_json)
    print(f"written: {choice.out}", file=sys.stderr)


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    data: Annotated[
        str | None, typer.Option("--data", help="A folder or archive; the sample if not given.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.test,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Accuracy of a trained network on test images."""
    from senet_nas.training import evaluate_checkpoint, load_checkpoint

    accuracy = evaluate_checkpoint(load_checkpoint(checkpoint), data, split.value, device)
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
