"""Retraining with its progress on stderr: a bar in a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_space import Architecture, InputError
from senet_nas.training.device import as_device
from senet_nas.training.loop import EpochReport
from senet_nas.training.recipe import load_recipe
from senet_nas.training.retrain import CHECKPOINT_FILE, retrain


def retrain_with_progress(
    architecture: Architecture,
    data: str | None,
    recipe: str,
    sets: Sequence[str],
    out: Path,
    *,
    seed: int,
    device: str | None,
    image_size: int | None,
) -> dict[str, Any]:
    """`retrain` by a recipe's name or file and `key=value` settings over it, showing progress;
    the result as plain data."""
    resolved = load_recipe(recipe, _settings(sets))
    with EpochProgress() as progress:
        result = retrain(
            architecture,
            data,
            resolved,
            out,
            seed=seed,
            device=as_device(device),
            image_size=image_size,
            progress=progress,
        )
    return {
        "test_top1": result.top1,
        "test_top5": result.top5,
        "test_images": result.test_images,
        "train_images": result.train_images,
        "epochs": result.epochs,
        "seconds": round(result.seconds, 1),
        "seed": result.seed,
        "params": result.params,
        "recipe": resolved.name,
        "checkpoint": str(out / CHECKPOINT_FILE),
    }


def _settings(sets: Sequence[str]) -> dict[str, object]:
    settings: dict[str, object] = {}
    for assignment in sets:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise InputError(f"--set {assignment}: write it as key=value")
        settings[key.strip()] = value.strip()
    return settings


class EpochProgress:
    """Epochs, loss, images/s, time left; called with each epoch's report."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> EpochProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("retrain"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("retrain", total=None, text="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, report: EpochReport) -> None:
        """Show an epoch that is over."""
        text = (
            f"epoch {report.epoch}/{report.epochs}, loss {report.loss:.3f}, "
            f"{report.images_per_second:.0f} images/s"
        )
        if self._bar is not None:
            self._bar.update(self._task, total=report.epochs, completed=report.epoch, text=text)
        else:
            left = (report.epochs - report.epoch) * report.seconds
            print(f"{text}, {left:.0f} s left", file=sys.stderr, flush=True)
