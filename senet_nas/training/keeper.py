"""What the first process of a training writes while it trains: metrics, and where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from senet_nas.training.group import Group
from senet_nas.training.run_state import append_metrics, load_state, save_state, trim_metrics
from senet_nas.training.scalars import Scalars
from senet_nas.training.state import EpochReport, Observer, StepReport, TrainingState

_MINUTE = 60.0


class Kept(Protocol):
    """What a keeper has to know of a job; see `senet_nas.training.job.Job`."""

    @property
    def out(self) -> Path:
        """The folder."""
        ...

    @property
    def save_seconds(self) -> float:
        """The state is kept after an epoch, at most so often."""
        ...

    @property
    def save_minutes(self) -> float:
        """And within one."""
        ...

    @property
    def tensorboard(self) -> bool:
        """Whether to write scalars."""
        ...


class Keeper(Observer):
    """Keeps metrics and state in the job's folder, and counts the seconds of all starts.

    on_epoch, on_step: are told as well. Raises `InputError` where the folder holds another
    training's state.
    """

    def __init__(
        self,
        job: Kept,
        identity: dict[str, Any],
        on_epoch: Callable[[EpochReport], object] | None = None,
        on_step: Callable[[StepReport], object] | None = None,
    ) -> None:
        self.job, self.identity = job, identity
        self.on_epoch, self.on_step = on_epoch, on_step
        self.state, self.seconds = load_state(job.out, identity)
        self.scalars = Scalars(job.out) if job.tensorboard else None
        self.saved_at = time.monotonic()

    def start(self) -> TrainingState | None:
        """Drop the metrics of what the state doesn't know; the state to go on from."""
        state = self.state
        trim_metrics(self.job.out, *((state.epoch, state.step) if state else (0, 0)))
        self.saved_at = time.monotonic()
        return state

    def after_step(self, report: StepReport) -> None:
        """See `Observer`."""
        if report.line_loss is not None:
            line = {
                "epoch": report.epoch,
                "step": report.step,
                "loss": report.line_loss,
                "learning_rate": report.learning_rate,
                "images_per_second": report.images / report.seconds,
            }
            append_metrics(self.job.out, line)
            if self.scalars is not None:
                self.scalars.add((report.epoch - 1) * report.steps + report.step, line)
        if self.on_step is not None:
            self.on_step(report)

    def after_epoch(self, report: EpochReport, state: TrainingState) -> None:
        """See `Observer`."""
        self.seconds += report.seconds
        append_metrics(self.job.out, asdict(report))
        if self.scalars is not None:
            self.scalars.add_epoch(report)
        is_due = time.monotonic() - self.saved_at >= self.job.save_seconds
        if is_due or report.epoch == report.epochs:
            self._save(state)
        if self.on_epoch is not None:
            self.on_epoch(report)

    def is_due(self) -> bool:
        """See `Observer`."""
        return time.monotonic() - self.saved_at >= self.job.save_minutes * _MINUTE

    def keep(self, state: TrainingState) -> None:
        """See `Observer`."""
        self._save(state)

    def _save(self, state: TrainingState) -> None:
        save_state(self.job.out, state, self.identity, self.seconds)
        self.saved_at = time.monotonic()


@dataclass(frozen=True, eq=False)
class Prepared:
    """One process's part of a training, ready. identity: what must be equal for one to go on with
    another's state. work: does it; the first process has a keeper, and writes."""

    identity: dict[str, Any]
    work: Callable[[Keeper | None], object]


# From a job, a device and the group of processes.
Begin = Callable[[Any, torch.device, Group], Prepared]
