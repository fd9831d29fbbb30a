"""One epoch of training: its steps, what is read of their losses, the state within it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import chain

import torch
from torch import Tensor

from senet_nas.data.ahead import ahead
from senet_nas.data.batches import Batch, Batches
from senet_nas.training.optimiser import optimiser_state
from senet_nas.training.rates import learning_rate
from senet_nas.training.regularisation import frozen_norms
from senet_nas.training.seeding import generator_states, seed_epoch, set_generators
from senet_nas.training.state import (
    DeadlineError,
    EpochReport,
    NonFiniteLossError,
    Observer,
    StepReport,
    TrainingState,
)
from senet_nas.training.step import Context, take_step

LINE_STEPS = 100  # the loss of so many steps is reported at a time
_STEPS_BETWEEN_CHECKS = 50  # reading the loss makes the CPU wait for a GPU


def train_epoch(
    context: Context,
    batches: Batches,
    seed: int,
    state: TrainingState,
    observer: Observer,
    deadline: float,
) -> EpochReport:
    """Train one epoch, or the rest of one from where `state` stands in it, to its end."""
    epoch, recipe = state.epoch, context.recipe
    progress = _Progress(context, batches, state, observer, deadline)
    coming = ahead(batches.epoch(seed, epoch, state.step), context.device)
    begun = _begun(coming)  # a loader may draw as it begins
    seed_epoch(seed, epoch, context.group.rank)
    if state.step:
        set_generators(_of_rank(state.rng, context.group.rank), context.device)
    context.network.train()
    frozen = epoch >= recipe.epochs - recipe.frozen_norm_epochs
    rate = 0.0
    with frozen_norms(context.network) if frozen else nullcontext():
        for step, batch in enumerate(begun, state.step):
            taken = epoch * progress.steps + step
            rate = learning_rate(recipe, taken, progress.steps)
            progress.add(take_step(context, batch, rate), len(batch))
            if context.average is not None:
                context.average.update(context.network, taken + 1)
            progress.after(step + 1, rate)
    return progress.report(rate)


def state_of(
    context: Context,
    epoch: int,
    step: int = 0,
    rng: Mapping[str, Tensor] | None = None,
    sums: Mapping[str, Tensor] | None = None,
) -> TrainingState:
    """Where training stands after so many epochs, and steps of the next."""
    return TrainingState(
        epoch,
        context.network.state_dict(),
        optimiser_state(context.network, context.optimiser),
        step,
        {} if context.average is None else context.average.weights(),
        rng or {},
        sums or {},
    )


class _Progress:
    """The losses of an epoch so far, and all that is told of them.

    Each process sums its own images' losses; sums are put together only where they are read, so
    that reading them more or less often changes nothing.
    """

    def __init__(
        self,
        context: Context,
        batches: Batches,
        state: TrainingState,
        observer: Observer,
        deadline: float,
    ) -> None:
        self.context, self.observer, self.deadline = context, observer, deadline
        self.epoch, self.epochs = state.epoch, context.recipe.epochs
        self.steps, self.count = batches.steps(), batches.count
        self.loss = self._resumed(state, "loss")  # of all images of the epoch so far
        self.told = self._resumed(state, "told")  # of these, in what was reported of LINE_STEPS
        self.images = int(self._resumed(state, "images"))  # that were trained on here
        before = float(state.sums.get("seconds", 0.0))
        self.started = time.monotonic() - before

    def _resumed(self, state: TrainingState, kind: str) -> Tensor:
        """This process's part of a sum; the first takes all where there are now more or fewer."""
        group, device = self.context.group, self.context.device
        kept = state.sums.get(kind)
        if kept is None:
            return torch.zeros((), device=device)
        if len(kept) == group.size:
            return kept[group.rank].to(device)
        return (kept.sum() if group.is_first else kept.sum() * 0).to(device)

    def add(self, loss: Tensor, images: int) -> None:
        """Count the images of a step and the sum of their losses."""
        self.loss += loss
        self.images += images

    def after(self, step: int, rate: float) -> None:
        """Check, tell and keep what is due after a step counted from 1."""
        context, group = self.context, self.context.group
        is_read = context.device.type == "cpu" or (step - 1) % _STEPS_BETWEEN_CHECKS == 0
        images = self.count * step // self.steps
        mean = self._checked(self.deadline) / images if is_read else None
        line = None
        if step % LINE_STEPS == 0:
            since = images - self.count * (step - LINE_STEPS) // self.steps
            line = float(group.total(self.loss - self.told)) / since
            self.told = self.loss.clone()
        if group.is_first:
            self.observer.after_step(
                StepReport(
                    self.epoch + 1,
                    self.epochs,
                    step,
                    self.steps,
                    images,
                    rate,
                    self.seconds,
                    mean,
                    line,
                )
            )
        if is_read and step < self.steps:
            is_due = group.is_first and self.observer.is_due()
            if group.first_says(is_due, context.device):
                self._keep(step)

    def report(self, rate: float) -> EpochReport:
        """What the epoch gave; its last step is over."""
        loss = self._checked(math.inf)
        trained = self.context.group.total(torch.tensor(self.images, device=self.context.device))
        count, seconds = int(trained), self.seconds
        return EpochReport(
            self.epoch + 1, self.epochs, loss / count, rate, seconds, count / seconds
        )

    @property
    def seconds(self) -> float:
        """Trained in this epoch, also before it was resumed."""
        return time.monotonic() - self.started

    def _checked(self, deadline: float) -> float:
        """The sum of all losses, of all processes. Raises where it is no number or it is late."""
        loss = float(self.context.group.total(self.loss))
        if not math.isfinite(loss):
            raise NonFiniteLossError(f"the loss became {loss} in epoch {self.epoch + 1}")
        if time.monotonic() > deadline:
            raise DeadlineError(f"the time for training was over in epoch {self.epoch + 1}")
        return loss

    def _keep(self, step: int) -> None:
        context, group = self.context, self.context.group
        images = torch.tensor(float(self.images), dtype=torch.float64, device=context.device)
        own = {"loss": self.loss, "told": self.told, "images": images}
        sums = {kind: torch.stack(group.gathered(tensor)).cpu() for kind, tensor in own.items()}
        sums["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        rng = {
            kind: torch.stack(group.gathered(tensor.to(context.device))).cpu()
            for kind, tensor in generator_states(context.device).items()
        }
        if group.is_first:
            self.observer.keep(state_of(context, self.epoch, step, rng, sums))


def _begun(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the first of them is there when this returns."""
    first = next(batches, None)
    return batches if first is None else chain([first], batches)


def _of_rank(rng: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    """What one process kept; nothing for one that wasn't there."""
    return {kind: states[rank] for kind, states in rng.items() if rank < len(states)}
