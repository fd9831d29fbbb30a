"""DARTS: all options, weighed by the softmax of alpha (Liu et al. 2019, arXiv 1806.09055)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search_space import checks
from search_space.errors import InputError
from strategies.core.weight_sharing import RelaxedSupernet
from strategies.differentiable.core.alpha import Alpha

BETAS = (0.5, 0.999)  # of Adam, appendix A.1.1
PERTURBATION = 0.01  # epsilon times the norm of the gradient, footnote 2


@dataclass
class Strategy:
    """Algorithm 1: alpha descends the validation loss, then the weights the training loss.

    order: 1 takes the weights as they are (xi = 0); 2 looks one step of theirs ahead, which takes
    four more passes. alpha_rate, alpha_decay: of alpha's Adam.
    """

    lengths: Sequence[int]
    seed: int = 0
    order: int = 1
    alpha_rate: float = 3e-4
    alpha_decay: float = 1e-3

    def __post_init__(self) -> None:
        if self.order not in (1, 2) or isinstance(self.order, bool):
            raise InputError(f"darts.order must be 1 or 2, not {self.order!r}")
        checks.seed(self.seed)
        self._alpha = Alpha(self.lengths, self.seed, self.alpha_rate, self.alpha_decay, BETAS)

    def probabilities(self) -> Sequence[Tensor]:
        """Of each option, for each decision."""
        return self._alpha.probabilities()

    def alpha(self) -> Sequence[Tensor]:
        """The architecture parameters of each decision."""
        return self._alpha.split()

    def step(self, supernet: RelaxedSupernet, number: int, progress: float) -> None:
        """Alpha learns, then the weights."""
        if self.order == 1:
            gradient = self._alpha.gradient(self._alpha_loss(supernet))
        else:
            gradient = self.unrolled_gradient(supernet)
        self._alpha.descend(gradient)
        supernet.update_weights(supernet.training_loss(self._alpha.settled()))

    def unrolled_gradient(self, supernet: RelaxedSupernet) -> Tensor:
        """Of the validation loss by alpha where the weights have followed alpha for one step:
        equation 7, its second term by finite differences, equation 8. The weights stay."""
        xi = supernet.weights_rate
        weights = list(supernet.weights())
        kept = [w.detach().clone() for w in weights]
        try:
            training = supernet.training_loss(self._alpha.settled())
            _move(weights, _gradients(training, weights), -xi)  # w' = w - xi dL_train/dw
            validation = self._alpha_loss(supernet)
            first, *by_weights = torch.autograd.grad(
                validation, [self._alpha.flat, *weights], materialize_grads=True
            )
            _restore(weights, kept)
            norm = torch.stack([g.norm() for g in by_weights]).norm()
            if not float(norm) > 0:
                return first
            epsilon = PERTURBATION / float(norm)
            _move(weights, by_weights, epsilon)  # w+
            above = self._alpha.gradient(supernet.training_loss(self._alpha.probabilities()))
            _restore(weights, kept)
            _move(weights, by_weights, -epsilon)  # w-
            below = self._alpha.gradient(supernet.training_loss(self._alpha.probabilities()))
            return first - xi * (above - below) / (2 * epsilon)
        finally:
            _restore(weights, kept)

    def _alpha_loss(self, supernet: RelaxedSupernet) -> Tensor:
        p = self._alpha.probabilities()
        loss: Tensor = supernet.validation_loss(p) + supernet.cost_loss(p)
        return loss

    def state(self) -> Mapping[str, Tensor]:
        """Alpha and its Adam."""
        return self._alpha.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        self._alpha.restore(state)


def _gradients(loss: Tensor, weights: Sequence[Tensor]) -> Sequence[Tensor]:
    return torch.autograd.grad(loss, weights, materialize_grads=True)


@torch.no_grad()
def _move(weights: Sequence[Tensor], along: Sequence[Tensor], distance: float) -> None:
    for weight, direction in zip(weights, along, strict=True):
        weight.add_(direction, alpha=distance)


@torch.no_grad()
def _restore(weights: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    for weight, before in zip(weights, kept, strict=True):
        weight.copy_(before)
