"""The command that trains a network in full: retrain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Data, DecodeWorkers, Device, Json, Sets
from senet_nas.cli.output import show_values

if TYPE_CHECKING:
    from senet_nas.analysis.twin import Twins
    from senet_nas.training.job import Job
    from senet_nas.training.retrain import RetrainResult

TWIN_SEEDS = 3


@app.command()
def retrain(
    recipe: Annotated[str, typer.Option(help="A recipe's name or file.")],
    source: Annotated[
        str | None,
        typer.Argument(metavar="DIR|NAME|ARCH.json", help="Not needed with --from."),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Trial number or architecture hash; else the knee.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="CHECKPOINT", help="Fine-tune these weights."),
    ] = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to; a folder in DIR if not given.")
    ] = None,
    sets: Sets = None,
    scale_rate: Annotated[
        bool,
        typer.Option("--scale-rate", help="Scale the rate with the batch_size that --set gives."),
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images; the run's, or their own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train together.")] = 1,
    gpus_per_worker: Annotated[
        float | None, typer.Option(min=0, help="1 where there are GPUs, if not given.")
    ] = None,
    decode_workers: DecodeWorkers = None,
    resized_cache: Annotated[
        int | None,
        typer.Option(min=1, help="Read copies of this shorter side, made once, for large images."),
    ] = None,
    save_minutes: Annotated[
        float, typer.Option(min=0, help="Between checkpoints within an epoch.")
    ] = 10.0,
    with_twin: Annotated[
        bool, typer.Option("--with-twin", help="Train the same network without SE as well.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="With --with-twin: pairs, from --seed on.")
    ] = TWIN_SEEDS,
    tensorboard: Annotated[
        bool | None, typer.Option(help="Scalars for it; where its library is installed.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network first; pays in long trainings.")
    ] = False,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure some steps, print what it takes, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a point of the front, or any network, in full; goes on where it stopped."""
    from senet_nas.analysis.selection import choose_start
    from senet_nas.data import Reading
    from senet_nas.training.device import gpus_of_workers
    from senet_nas.training.images import Images
    from senet_nas.training.job import Job
    from senet_nas.training.plan import measured_plan
    from senet_nas.training.recipe_files import recipe_of_assignments
    from senet_nas.training.scalars import has_writer

    resolved, note = recipe_of_assignments(recipe, sets or [], scale_rate=scale_rate)
    choice, weights = choose_start(source, arch, start, data, out, recipe, resolved.image_size)
    job = Job(
        choice.architecture,
        Images(
            choice.data,
            image_size or choice.image_size,
            reading=Reading(workers=decode_workers, copies=resized_cache),
        ),
        resolved,
        choice.out,
        seed,
        start=weights,
        save_minutes=save_minutes,
        tensorboard=has_writer() if tensorboard is None else tensorboard,
        compiled=compiled,
    )
    gpus = gpus_of_workers(gpus_per_worker, device)
    if workers == 1:  # several are given theirs by Ray, perhaps elsewhere
        device = device or ("cuda" if gpus else "cpu")
    if dry_run:
        plan = measured_plan(job, device, workers)
        _say(note)
        show_values(f"{choice.label} by {resolved.name}", plan.to_data(), as_json)
        return
    if with_twin:
        twins = _train_twins(job, range(seed, seed + seeds), device, workers, gpus, note)
        shown = twins.to_data() if as_json else twins.to_rows()
    else:
        shown = _train("retrain", job, device, workers, gpus, note).to_data(job.out)
    show_values(f"retrained {choice.label}", shown, as_json)
    print(f"written: {choice.out}", file=sys.stderr)


def _train(
    label: str, job: Job, device: str | None, workers: int, gpus: float, note: str | None
) -> RetrainResult:
    """One training, with its progress."""
    from senet_nas.training.device import as_device
    from senet_nas.training.plan import Plan
    from senet_nas.training.progress import TrainingProgress
    from senet_nas.training.retrain import retrain_job

    def say(plan: Plan) -> None:
        _say(note)
        _say(f"{label}: {plan}")

    with TrainingProgress(label) as progress:
        return retrain_job(
            job,
            device=as_device(device),
            workers=workers,
            gpus_per_worker=gpus,
            on_epoch=progress.after_epoch,
            on_step=progress.after_step,
            on_plan=say,
        )


def _train_twins(
    job: Job, seeds: range, device: str | None, workers: int, gpus: float, note: str | None
) -> Twins:
    """All pairs; each training shows its progress, the last line what they say together."""
    from senet_nas.analysis.twin import train_twins

    _say(note)
    twins = train_twins(
        job, seeds, lambda label, one: _train(label, one, device, workers, gpus, None), workers
    )
    _say(str(twins))
    return twins


def _say(text: str | None) -> None:
    if text is not None:
        print(text, file=sys.stderr)
