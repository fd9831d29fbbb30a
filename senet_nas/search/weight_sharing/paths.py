"""One step of a supernet's training: the networks of a one-shot strategy learn from a batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space import Candidate
from search_space.errors import RunError
from senet_nas.data.batches import Batch
from senet_nas.nn.supernet import Supernet
from senet_nas.training.precision import autocast
from senet_nas.training.step import Context
from strategies.core.weight_sharing import PathStrategy

IN_A_ROW = 10  # steps that may fail before training stops
LOWERED = 0.5  # the rate's factor for each
_SILENT = 1e-12


class SupernetTraining(nn.Module):
    """A supernet, and what its training has met: it is trained by `train_on` as any network.

    skipped: steps whose loss, or whose gradient, was not finite; in_a_row: of these the last ones;
    rate_scale: what the learning rate has been lowered to for that. Buffers, so that a training
    that goes on knows them.
    """

    skipped: Tensor
    in_a_row: Tensor
    rate_scale: Tensor

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet
        self.register_buffer("skipped", torch.zeros((), dtype=torch.int64))
        self.register_buffer("in_a_row", torch.zeros((), dtype=torch.int64))
        self.register_buffer("rate_scale", torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """As the supernet."""
        logits: Tensor = self.supernet(x)
        return logits


class PathSteps:
    """`learn` of `train_on`: what follows from the strategy and the number of the step alone.

    number: of the next step. Raises `RunError` after ten steps in a row whose loss isn't finite.
    """

    def __init__(self, training: SupernetTraining, strategy: PathStrategy, number: int = 0) -> None:
        self.training, self.strategy, self.number = training, strategy, number
        self._last_mean = 0.0
        self._is_first = True

    def __call__(self, context: Context, batch: Batch) -> Tensor:
        """Put the gradients of a step in place; the sum of the images' losses."""
        if self._is_first:
            begin_momentum(context.optimiser)
            self._is_first = False
        learner = _BatchLearner(self.training.supernet, context, batch)
        self.strategy.step(learner, self.number)
        self.number += 1
        gradients = [p.grad for p in context.network.parameters() if p.grad is not None]
        context.group.average(gradients)
        mean = float(context.group.total(learner.loss)) / context.group.size
        if torch.isfinite(torch.tensor(mean)) and _all_finite(gradients):
            self.training.in_a_row.zero_()
            self._last_mean = mean
        else:
            self._skip(context)
        for settings in context.optimiser.param_groups:
            settings["lr"] *= float(self.training.rate_scale)
        return torch.tensor(self._last_mean * len(batch), device=context.device)

    def _skip(self, context: Context) -> None:
        """Leave the weights as they are, and go slower."""
        context.optimiser.zero_grad(set_to_none=True)
        training = self.training
        training.skipped += 1
        training.in_a_row += 1
        training.rate_scale *= LOWERED
        _mend_statistics(training)
        if int(training.in_a_row) >= IN_A_ROW:
            raise RunError(
                f"the supernet's loss was not finite in {IN_A_ROW} steps in a row, up to step "
                f"{self.number}; what was kept before is still there, and a lower learning rate "
                "(supernet.recipe) may get further"
            )


class _BatchLearner:
    """`PathLearner`. loss: the sum of the networks' mean losses, each times its share."""

    def __init__(self, supernet: Supernet, context: Context, batch: Batch) -> None:
        self.supernet, self.context = supernet, context
        images, labels = batch.images, batch.labels
        if context.mixing is not None:
            images, labels = context.mixing(images, labels)
        self.images, self.labels, self.weight = images, labels, batch.weight
        self.loss = torch.zeros((), device=context.device)

    def learn(
        self, candidate: Candidate, teacher: Tensor | None = None, share: float = 1.0
    ) -> Tensor:
        """See `PathLearner`. The teacher's outputs are logits (N, classes); what is learned from
        them is their softmax (Hinton et al. 2015, arXiv 1503.02531, at temperature 1)."""
        context = self.context
        self.supernet.choose(self.supernet.space.build(candidate))
        with autocast(context.dtype, context.device):
            logits = self.supernet(self.images).float()
        if teacher is None:
            loss = context.loss(logits, self.labels)
        else:
            loss = F.cross_entropy(logits, teacher.softmax(1))
        loss = loss * (share * self.weight)
        loss.backward()  # type: ignore[no-untyped-call]
        self.loss += loss.detach()
        outputs: Tensor = logits.detach()
        return outputs


def begin_momentum(optimiser: torch.optim.Optimizer) -> None:
    """Momentum of zero for all: the fused SGD can't begin with some parameters in a later step
    than with others, and a parameter's first step is the same."""
    if isinstance(optimiser, torch.optim.SGD):
        for settings in optimiser.param_groups:
            for parameter in settings["params"] if settings["momentum"] else ():
                optimiser.state[parameter].setdefault(
                    "momentum_buffer", torch.zeros_like(parameter)
                )


def _all_finite(gradients: Iterable[Tensor]) -> bool:
    norms = torch._foreach_norm(list(gradients))
    return bool(torch.stack(list(norms)).isfinite().all())


@torch.no_grad()
def _mend_statistics(network: nn.Module) -> None:
    """Put back means and variances that a pass without a finite result has spoiled."""
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point() and not buffer.isfinite().all():
            buffer.fill_(1.0 if name.endswith("running_var") else 0.0)
