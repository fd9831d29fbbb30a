"""Training an architecture for good, on all training images, with one look at the test images."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from search_space import Blueprint, checks
from search_space.errors import InputError
from senet_nas.data import (
    ImageSet,
    load_images,
    locked,
    splits_of,
    training_subset,
    write_atomically,
)
from senet_nas.training.checkpoint import Checkpoint, save_checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import evaluate
from senet_nas.training.loop import EpochReport, TrainingState, train
from senet_nas.training.recipe import Recipe
from senet_nas.training.run_state import (
    STATE_FILE,
    append_metrics,
    check_identity,
    load_state,
    save_state,
    trim_metrics,
)
from senet_nas.training.seeding import seeded_network
from senet_nas.training.start import Start

CHECKPOINT_FILE = "checkpoint.safetensors"
RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """top1, top5: percent of the test images, None where the data has none (`test_images` is 0).
    seconds: of training, over all starts. identity: what was trained on what and how."""

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
    """Train on all training images, then evaluate once on the test images, where there are any.

    fraction: of the training images, where not all, drawn by the seed. make_network: the network
    with its initial weights for (architecture, number of classes, image size, seed). start:
    weights to begin with in their place, and the normalisation that these expect.

    Writes to the folder `out`: `metrics.jsonl` (a line an epoch), `checkpoint.safetensors` and,
    last, `result.json`. The state is kept after an epoch, at most every `save_seconds`; the same
    call goes on where an earlier one stopped, and returns the result where it had finished.
    Raises `InputError` where `out` holds another training, or one that another process is at,
    for a seed out of range, and for what `load_images` and `build_network` refuse, before
    anything is written; and what `train` raises.
    """
    checks.seed(seed)
    device = as_device(device)
    images = load_images(data, "train", image_size, cache)
    if fraction < 1:
        images = images.subset(training_subset(images.labels, fraction, seed))
    splits = splits_of(data)  # before training: a fault is told at once
    network = make_network(architecture, len(images.classes), images.image_size, seed)
    if start is not None:
        start.into(network)
    mean, std = (start.mean, start.std) if start else (images.mean(), images.std())
    identity = _identity(architecture, images, recipe, seed)
    if start is not None:
        identity["start"] = start.digest
    if (done := _finished(out, identity)) is not None:
        return done
    # Read before the folder is held, so that a refusal writes nothing. Should another process go
    # on and stop in between, its epochs are trained again, to the same end.
    keeper = _Keeper(out, identity, save_seconds, progress)
    _make_folder(out)
    with locked(out, f"another process is training in {out}"):
        state = keeper.start()
        train(
            network,
            images,
            recipe,
            seed=seed,
            device=device,
            mean=mean,
            std=std,
            state=state,
            on_epoch=keeper.after_epoch,
        )
        accuracy = None
        if "test" in splits:
            test = load_images(data, "test", images.image_size, cache)
            accuracy = evaluate(network, test, mean=mean, std=std, device=device)
        result = RetrainResult(
            top1=accuracy.top1 if accuracy else None,
            top5=accuracy.top5 if accuracy else None,
            test_loss=accuracy.loss if accuracy else None,
            test_images=accuracy.count if accuracy else 0,
            train_images=len(images),
            epochs=recipe.epochs,
            seconds=keeper.seconds,
            seed=seed,
            params=sum(p.numel() for p in network.parameters()),
            image_size=images.image_size,
            recipe=recipe.to_data(),
            identity=identity,
        )
        checkpoint = Checkpoint(
            architecture,
            network.state_dict(),
            images.classes,
            mean,
            std,
            images.image_size,
            {key: value for key, value in asdict(result).items() if key != "identity"},
        )
        _write(out, result, checkpoint)
    return result


class _Keeper:
    """Writes metrics and state after epochs, and counts the seconds of all starts."""

    def __init__(
        self,
        out: Path,
        identity: dict[str, Any],
        save_seconds: float,
        progress: Callable[[EpochReport], object] | None,
    ):
        self.out, self.identity, self.save_seconds = out, identity, save_seconds
        self.progress = progress
        self.state, self.seconds = load_state(out, identity)
        self.saved_at = time.monotonic()

    def start(self) -> TrainingState | None:
        """Drop the metrics of epochs that the state doesn't know; the state to go on from."""
        trim_metrics(self.out, self.state.epoch if self.state else 0)
        return self.state

    def after_epoch(self, report: EpochReport, state: TrainingState) -> None:
        """Keep what an epoch gave."""
        self.seconds += report.seconds
        append_metrics(self.out, report)
        is_due = time.monotonic() - self.saved_at >= self.save_seconds
        if is_due or report.epoch == report.epochs:
            save_state(self.out, state, self.identity, self.seconds)
            self.saved_at = time.monotonic()
        if self.progress is not None:
            self.progress(report)


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


def _identity(
    architecture: Blueprint, images: ImageSet, recipe: Recipe, seed: int
) -> dict[str, Any]:
    """What must be equal for one training to go on with another's state."""
    data = {
        "images": len(images),
        "classes": list(images.classes),
        "size": images.image_size,
        "mean": list(images.mean()),
    }
    schedule = {key: value for key, value in recipe.to_data().items() if key != "name"}
    return {
        "architecture": json.loads(architecture.to_json()),
        "recipe": schedule,
        "seed": seed,
        "data": data,
    }


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
