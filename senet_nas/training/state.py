"""Where a training stands, what it reports, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from search_space.errors import RunError


class NonFiniteLossError(RunError):
    """The loss became infinite or no number: this network doesn't train with this recipe."""


class DeadlineError(TimeoutError):
    """The time allowed for training was over before its end."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Where training stands. The tensors are the live ones: copy what is to last.

    epoch: how many are done. weights: parameters and buffers by name. momentum: what the optimiser
    keeps (`optimiser_state`). average: the averaged weights, where the recipe asks for them.
    step: how many of the next epoch's are done; where there are any, also rng: the states of
    torch's generators (ranks, bytes) by kind of device; sums: its losses and images so far
    (ranks,), and seconds.
    """

    epoch: int
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]
    step: int = 0
    average: Mapping[str, Tensor] = field(default_factory=dict)
    rng: Mapping[str, Tensor] = field(default_factory=dict)
    sums: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one epoch (counted from 1) gave: mean training loss, the rate of its last step, time,
    speed."""

    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step gave. epoch, step: counted from 1. images: of the epoch up to here, over all
    workers. seconds: of the epoch up to here. loss: the mean of the epoch up to here, where it
    was read: at each step, that would make the CPU wait for a GPU. line_loss: every so many
    steps (`LINE_STEPS`), the mean over these."""

    epoch: int
    epochs: int
    step: int
    steps: int
    images: int
    learning_rate: float
    seconds: float
    loss: float | None = None
    line_loss: float | None = None


class Observer:
    """Is told what a training does, in the first of its processes. Override what is of use."""

    def after_step(self, report: StepReport) -> None:
        """A step is over."""

    def after_epoch(self, report: EpochReport, state: TrainingState) -> bool | None:
        """An epoch is over; True ends training there."""
        return None

    def is_due(self) -> bool:
        """Whether the state shall be kept now, within an epoch."""
        return False

    def keep(self, state: TrainingState) -> None:
        """Keep the state within an epoch."""
