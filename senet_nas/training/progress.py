"""Retraining with its progress on stderr: a bar in a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_space import Blueprint, checks
from senet_nas.training.device import as_device
from senet_nas.training.loop import EpochReport
from senet_nas.training.recipe_files import load_recipe
from senet_nas.training.retrain import retrain
from senet_nas.training.start import Start


def retrain_with_progress(
    architecture: Blueprint,
    data: str | None,
    recipe: str,
    sets: Sequence[str],
    out: Path,
    *,
    seed: int,
    device: str | None,
    image_size: int | None,
    start: Path | None = None,
) -> dict[str, Any]:
    """`retrain` by a recipe's name or file and `key=value` settings over it, showing progress;
    the result as plain data. start: a file of weights to begin with (`Start`)."""
    assignments = map(checks.parse_assignment, sets)
    resolved = load_recipe(recipe, {".".join(path): value for path, value in assignments})
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
            start=None if start is None else Start.load(start),
        )
    return result.to_data(out)


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
