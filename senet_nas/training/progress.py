"""A training's progress on stderr: a bar in a terminal, a line an epoch and a minute elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from senet_nas.training.state import EpochReport, StepReport

_FIRST = 10.0  # seconds of steps after which the time that is left is worth telling
_LINE = 60.0  # seconds between lines within an epoch, outside of a terminal


class TrainingProgress:
    """Epochs, steps, loss, images/s, time left. label: what is trained."""

    def __init__(self, label: str = "retrain") -> None:
        self._label = label
        self._bar: Any = None
        self._task: Any = None
        self._first: tuple[float, int] | None = None  # when this start had how many steps
        self._told = 0.0
        self._loss: float | None = None

    def __enter__(self) -> TrainingProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn(self._label), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(self._label, total=None, text="starting")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def after_step(self, report: StepReport) -> None:
        """Move the bar; outside of a terminal, a line a minute."""
        now, done = time.monotonic(), (report.epoch - 1) * report.steps + report.step
        total = report.epochs * report.steps
        if self._first is None or done < self._first[1]:  # workers may have gone back
            self._first, self._told = (now, done), now + _FIRST - _LINE
        if report.loss is not None:
            self._loss = report.loss
        loss = "" if self._loss is None else f"loss {self._loss:.3f} · "
        text = (
            f"epoch {report.epoch}/{report.epochs} · step {report.step}/{report.steps} · {loss}"
            f"{report.images / report.seconds:,.0f} images/s"
        )
        started, before = self._first
        if done > before:
            text += f" · {clock((now - started) / (done - before) * (total - done))} left"
        if self._bar is not None:
            self._bar.update(self._task, total=total, completed=done, text=text)
        elif now - self._told >= _LINE and report.step < report.steps:
            self._print(text)
            self._told = now

    def after_epoch(self, report: EpochReport) -> None:
        """Show an epoch that is over."""
        self._told = time.monotonic()
        if self._bar is None:
            left = (report.epochs - report.epoch) * report.seconds
            self._print(
                f"epoch {report.epoch}/{report.epochs} · loss {report.loss:.3f} · "
                f"{report.images_per_second:,.0f} images/s · {clock(left)} left"
            )

    def _print(self, text: str) -> None:
        print(f"{self._label}: {text}", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """75 to "1:15", 90000 to "25:00:00"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
