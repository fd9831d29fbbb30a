"""An ablation's progress on stderr: a bar over all trainings, or a line a training."""

from __future__ import annotations

import sys
import time
from typing import Any

from senet_nas.search.ablation.running import Outcome
from senet_nas.training import EpochReport
from senet_nas.training.progress import clock


class AblationProgress:
    """Trainings, epochs, time left; a bar in a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._trainings = self._finished = self._epochs = 0
        self._epoch = 0  # of the training under way
        self._seen = 0  # epochs in this start
        self._started = 0.0

    def __enter__(self) -> AblationProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def start(self, trainings: int, finished: int, epochs: int) -> None:
        """Show the bar, or say what begins."""
        self._trainings, self._finished, self._epochs = trainings, finished, epochs
        self._started = time.monotonic()
        if finished:
            print(f"going on after {finished} of {trainings} trainings", file=sys.stderr)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn("ablate"), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Progress(*columns, console=Console(stderr=True))
            total = trainings * epochs
            self._task = self._bar.add_task("ablate", total=total, text=self.text("starting"))
            self._bar.start()

    def epoch(self, variant: str, seed: int, report: EpochReport) -> None:
        """Move the bar."""
        self._epoch, self._seen = report.epoch, self._seen + 1
        self._show(f"{variant}, seed {seed}: epoch {report.epoch}/{report.epochs}")

    def finish(self, outcome: Outcome) -> None:
        """Count a training; outside of a terminal, print it."""
        self._finished, self._epoch = self._finished + 1, 0
        what = outcome.reason or ""
        if outcome.result is not None and outcome.result.top1 is not None:
            what = f"top-1 error {100 - outcome.result.top1:.2f}%"
        text = f"{outcome.variant}, seed {outcome.seed}: {what}"
        self._show(text)
        if self._bar is None:
            print(self.text(text), file=sys.stderr, flush=True)

    def text(self, now: str) -> str:
        """The state in one line, ending in what happens now."""
        parts = [f"{self._finished}/{self._trainings} trainings"]
        if self._seen:
            parts.append(f"{clock(self.seconds_left())} left")
        return " · ".join([*parts, now])

    def seconds_left(self) -> float:
        """By the pace of this start, of which at least one epoch is over."""
        done = self._finished * self._epochs + self._epoch
        pace = (time.monotonic() - self._started) / self._seen
        return pace * (self._trainings * self._epochs - done)

    def _show(self, text: str) -> None:
        if self._bar is not None:
            done = self._finished * self._epochs + self._epoch
            self._bar.update(self._task, completed=done, text=self.text(text))
