"""Training an architecture for good, on all training images, with one look at the test images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_space import Blueprint
from search_space.errors import InputError
from senet_nas.data import Reading, locked, write_atomically
from senet_nas.training.checkpoint import Checkpoint, save_checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import evaluate_on
from senet_nas.training.group import ALONE, Group
from senet_nas.training.images import Images
from senet_nas.training.job import Job, Opened, open_job
from senet_nas.training.keeper import Keeper, Prepared
from senet_nas.training.loop import train_on
from senet_nas.training.plan import Plan, plan_job
from senet_nas.training.ray_cluster import check_cluster
from senet_nas.training.recipe import Recipe
from senet_nas.training.run_state import STATE_FILE, check_identity, load_state
from senet_nas.training.seeding import seeded_network
from senet_nas.training.start import Start
from senet_nas.training.state import EpochReport, StepReport

CHECKPOINT_FILE = "checkpoint.safetensors"
RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """top1, top5: percent of the test images, None where the data has none (`test_images` is 0).
    seconds: of training, over all starts. image_size: of training, test_image_size: of the test.
    identity: what was trained on what and how."""

    top1: float | None
    top5: float | None
    test_loss: float | None
    test_images: int
    train_images: int
    epochs: int
    seconds: float
    seed: int
    params: int
    image_size: int
    recipe: dict[str, Any]
    identity: dict[str, Any]
    workers: int = 1
    test_image_size: int | None = None

    def to_data(self, out: Path) -> dict[str, Any]:
        """What a user asks first, as plain data for JSON. out: the folder that was trained in."""
        return {
            "test_top1": self.top1,
            "test_top5": self.top5,
            "test_images": self.test_images,
            "train_images": self.train_images,
            "epochs": self.epochs,
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "params": self.params,
            "recipe": self.recipe["name"],
            "checkpoint": str(out / CHECKPOINT_FILE),
        }


def retrain(
    architecture: Blueprint,
    data: str | Path | None,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    image_size: int | None = None,
    cache: Path | None = None,
    progress: Callable[[EpochReport], object] | None = None,
    save_seconds: float = 10.0,
    fraction: float = 1.0,
    make_network: Callable[[Blueprint, int, int, int], nn.Module] = seeded_network,
    start: Start | None = None,
) -> RetrainResult:
    """`retrain_job` in this process, of a job made of these.

    fraction: of the training images, where not all, drawn by the seed. progress: is told of each
    epoch. The others are fields of `Job` and `Images`.
    """
    images = Images(data, image_size, fraction, Reading(cache=cache))
    job = Job(architecture, images, recipe, out, seed, make_network, start, save_seconds)
    return retrain_job(job, device=device, on_epoch=progress)


def retrain_job(
    job: Job,
    *,
    device: torch.device | str = "cpu",
    workers: int = 1,
    gpus_per_worker: float = 0.0,
    on_epoch: Callable[[EpochReport], object] | None = None,
    on_step: Callable[[StepReport], object] | None = None,
    on_plan: Callable[[Plan], object] | None = None,
) -> RetrainResult:
    """Train on all training images, then evaluate once on the test images, where there are any.

    Writes to the job's folder: `metrics.jsonl` (a line an epoch, and one every 100 steps within
    it), `checkpoint.safetensors` and, last, `result.json`. The same call goes on where an earlier
    one stopped, and returns the result where it had finished.

    workers: above 1, so many processes by Ray Train, each with so many GPUs or on the CPU, here or
    on the cluster at RAY_ADDRESS; every one must reach the folder and the data. A worker that dies
    is replaced, and all go on from the state that was kept last.
    on_epoch, on_step: are told of each. on_plan: is told what is about to be trained.
    Raises `InputError` where the folder holds another training, or one that another process is at,
    for a seed out of range, and for what the images and `build_network` refuse, before anything
    is written; and what `train_on` raises.
    """
    if workers == 1:
        opened = open_job(job, as_device(device), ALONE)
    else:  # for its faults and its identity; the workers open their own
        job = job.absolute()
        opened = open_job(job, torch.device("cpu"), Group(0, workers))
    if (done := _finished(job.out, opened.identity)) is not None:
        return done
    # Read before the folder is held, so that a refusal writes nothing. Should another process go
    # on and stop in between, its epochs are trained again, to the same end.
    keeper = Keeper(job, opened.identity, on_epoch, on_step)
    plan = plan_job(opened, workers)
    plan.check(job.out)
    if workers > 1:
        check_cluster()
    if on_plan is not None:
        on_plan(plan)
    _make_folder(job.out)
    with locked(job.out, f"another process is training in {job.out}"):
        if workers == 1:
            result = work(opened, as_device(device), ALONE, keeper)
            assert result is not None
            return result
        from senet_nas.training.ray_train import train_together

        train_together(job, begin, workers, gpus_per_worker, on_epoch, on_step)
    result = _finished(job.out, opened.identity)
    assert result is not None
    return result


def begin(job: Job, device: torch.device, group: Group) -> Prepared:
    """One process's part of a training, ready to work."""
    opened = open_job(job, device, group)
    return Prepared(opened.identity, partial(work, opened, device, group))


def work(
    opened: Opened, device: torch.device, group: Group, keeper: Keeper | None
) -> RetrainResult | None:
    """What each process of a training does; the first of them has a keeper, writes and returns the
    result."""
    job, batches, network = opened.job, opened.batches, opened.network
    state = keeper.start() if keeper else load_state(job.out, opened.identity)[0]
    end = train_on(
        network,
        batches,
        job.recipe,
        seed=job.seed,
        device=device,
        state=state,
        observer=keeper,
        group=group,
    )
    if end.average:
        network.load_state_dict(end.average)
    accuracy, test_size = None, None
    if opened.has_test:
        test = job.images.test(job.recipe, batches, device, group)
        test_size = test.image_size
        accuracy = evaluate_on(network, test, device=device, group=group)
    if keeper is None:
        return None
    result = RetrainResult(
        top1=accuracy.top1 if accuracy else None,
        top5=accuracy.top5 if accuracy else None,
        test_loss=accuracy.loss if accuracy else None,
        test_images=accuracy.count if accuracy else 0,
        train_images=batches.count,
        epochs=job.recipe.epochs,
        seconds=keeper.seconds,
        seed=job.seed,
        params=sum(p.numel() for p in network.parameters()),
        image_size=batches.image_size,
        recipe=job.recipe.to_data(),
        identity=opened.identity,
        workers=group.size,
        test_image_size=test_size,
    )
    checkpoint = Checkpoint(
        job.architecture,
        network.state_dict(),
        batches.classes,
        batches.mean,
        batches.std,
        job.images.sizes(job.recipe)[1] or batches.image_size,
        {key: value for key, value in asdict(result).items() if key != "identity"},
    )
    _write(job.out, result, checkpoint)
    return result


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {out}: {error.strerror}") from None


def _write(out: Path, result: RetrainResult, checkpoint: Checkpoint) -> None:
    """The checkpoint, then the result, whose presence says that all is done."""
    save_checkpoint(out / CHECKPOINT_FILE, checkpoint)
    text = json.dumps(asdict(result), indent=2) + "\n"
    write_atomically(out / RESULT_FILE, lambda temporary: temporary.write_text(text, "utf-8"))
    (out / STATE_FILE).unlink(missing_ok=True)


def _finished(out: Path, identity: dict[str, Any]) -> RetrainResult | None:
    path = out / RESULT_FILE
    if not path.exists() or not (out / CHECKPOINT_FILE).exists():
        return None
    try:
        result = RetrainResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged, or not a result of retraining: {error}") from None
    check_identity(path, result.identity, identity)
    return result
