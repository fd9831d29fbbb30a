"""What a weight-sharing strategy has to be, and the supernet that it is handed.

Two kinds, a folder each: `strategies/one_shot` says which networks of the supernet learn from a
batch; `strategies/differentiable` also learns, by gradient, which options are good. Neither knows
what a network is: candidates, and weights of a decision's options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from search_space.space import Candidate


class PathLearner(Protocol):
    """A supernet and one batch of images: gradients add up over the networks that learn."""

    def learn(self, candidate: Candidate, teacher: Any = None, share: float = 1.0) -> Any:
        """Let one network learn from the batch: its labels, or the outputs of another network
        (a teacher) in their place. share: what its gradient is multiplied by. Gives its outputs,
        which may be a teacher for others."""
        ...


class PathStrategy(Protocol):
    """The part of a one-shot strategy that differs between methods.

    A file `strategies/one_shot/<name>.py` holds one as class `Strategy`, made from a search space,
    the cheapest and the costliest of its candidates (`smallest`, `largest`), a seed, and its
    settings (keyword arguments with defaults).
    """

    def step(self, supernet: PathLearner, number: int) -> None:
        """Let networks learn from one batch, the `number`-th of the training. Which ones follows
        from the seed and the number alone."""
        ...


class RelaxedSupernet(Protocol):
    """A supernet that computes mixtures of its networks, and a batch of each half of the images.

    A mixture is one weight for each option of each decision (tensors of the library that the
    supernet is made with), and optionally for each decision the options that are computed at all:
    those with a weight, where it isn't given. Losses raise `FloatingPointError` where they are not
    finite, and so does `update_weights` where the gradient isn't.
    """

    def training_loss(
        self, mixture: Sequence[Any], support: Sequence[Sequence[int]] | None = None
    ) -> Any:
        """On the batch from which the weights learn."""
        ...

    def validation_loss(
        self, mixture: Sequence[Any], support: Sequence[Sequence[int]] | None = None
    ) -> Any:
        """On the batch from which alpha learns, of other images."""
        ...

    def cost_loss(self, probabilities: Sequence[Any]) -> Any:
        """How far the expected cost of networks drawn with these probabilities of options is from
        what was asked for; differentiable, zero where nothing was."""
        ...

    def weights(self) -> Sequence[Any]:
        """The parameters that all networks share."""
        ...

    def update_weights(self, loss: Any) -> None:
        """One step of the weights' optimiser down the gradient of a loss."""
        ...

    @property
    def weights_rate(self) -> float:
        """The learning rate of the weights now."""
        ...


class DifferentiableStrategy(Protocol):
    """The part of a differentiable strategy that differs between methods.

    A file `strategies/differentiable/<name>.py` holds one as class `Strategy`, made from the
    number of options of each decision (`lengths`), a seed and its settings (keyword arguments with
    defaults). It owns the architecture parameters (alpha) and what makes them learn.
    """

    def probabilities(self) -> Sequence[Any]:
        """Of each option, as alpha has it now, for each decision; differentiable in `alpha()`."""
        ...

    def alpha(self) -> Sequence[Any]:
        """The architecture parameters of each decision."""
        ...

    def step(self, supernet: RelaxedSupernet, number: int, progress: float) -> None:
        """Learn from a batch of each half. What is drawn follows from the seed and the number.
        progress: from 0 to 1 over the whole search."""
        ...

    def state(self) -> Mapping[str, Any]:
        """All that would be lost, as tensors by name, for `restore`."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state. Raises `InputError` where it is of another strategy or space."""
        ...


def path_rng(seed: int, number: int) -> np.random.Generator:
    """What a step draws from."""
    return np.random.default_rng([seed, number])
