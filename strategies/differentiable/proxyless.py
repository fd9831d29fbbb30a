"""ProxylessNAS: binary gates, of which two paths are in memory (Cai et al. 2019, arXiv 1812.00332,
section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from strategies.core.weight_sharing import RelaxedSupernet
from strategies.differentiable.core.alpha import Alpha, one_hot, step_generator

BETAS = (0.0, 0.999)  # without momentum, as the authors' code has it


@dataclass
class Strategy:
    """The weights learn from one network drawn; of each decision two options are drawn for alpha,
    of which one is raised and one lowered, and all others keep their probability (section 3.2.1).

    The expected cost moves the same two (section 3.3.1). alpha_rate, alpha_decay: of alpha's Adam.
    """

    lengths: Sequence[int]
    seed: int = 0
    alpha_rate: float = 6e-3
    alpha_decay: float = 0.0

    def __post_init__(self) -> None:
        self._alpha = Alpha(self.lengths, self.seed, self.alpha_rate, self.alpha_decay, BETAS)

    def probabilities(self) -> Sequence[Tensor]:
        """Of each option, for each decision: those with which paths are drawn (equation 3)."""
        return self._alpha.probabilities()

    def alpha(self) -> Sequence[Tensor]:
        """The architecture parameters of each decision."""
        return self._alpha.split()

    def step(self, supernet: RelaxedSupernet, number: int, progress: float) -> None:
        """The weights learn from one path, then alpha from two."""
        generator = step_generator(self.seed, number)
        p = self._alpha.settled()
        paths = [_drawn(p_, 1, generator) for p_ in p]
        gates = [one_hot(path[0], len(p_)) for path, p_ in zip(paths, p, strict=True)]
        supernet.update_weights(supernet.training_loss(gates, paths))
        self._learn_alpha(supernet, p, [_drawn(p_, 2, generator) for p_ in p], generator)

    def _learn_alpha(
        self,
        supernet: RelaxedSupernet,
        p: Sequence[Tensor],
        pairs: Sequence[list[int]],
        generator: torch.Generator,
    ) -> None:
        """One step of alpha by the two options of each decision."""
        q = [p_[pair] / p_[pair].sum() for p_, pair in zip(p, pairs, strict=True)]
        gates = [
            one_hot(pair[_drawn(q_, 1, generator)[0]], len(p_)).requires_grad_()
            for p_, q_, pair in zip(p, q, pairs, strict=True)
        ]
        by_gate = _gradients(supernet.validation_loss(gates, pairs), gates)
        leaves = [p_.clone().requires_grad_() for p_ in p]
        by_probability = _gradients(supernet.cost_loss(leaves), leaves)
        gradient = torch.zeros_like(self._alpha.flat)
        rows = zip(self._alpha.split(gradient), p, q, pairs, by_gate, by_probability, strict=True)
        for row, p_, q_, pair, g, c in rows:
            # The pair's probability together stays: that of each is its share q of p[pair].sum().
            d = g[pair] + p_[pair].sum() * c[pair]
            row[pair] = q_ * (d - (q_ * d).sum())  # equation 4
        before = self._alpha.flat.detach().clone()
        self._alpha.descend(gradient)
        self._rescale(before, pairs)

    @torch.no_grad()
    def _rescale(self, before: Tensor, pairs: Sequence[list[int]]) -> None:
        """Shift each pair, so that the probabilities of all other options are as before, and
        undo what the decay or the averages of Adam did to those."""
        after = self._alpha.flat.detach().clone()
        rows = zip(self._alpha.split(after), self._alpha.split(before), pairs, strict=True)
        kept = before.clone()
        for target, (new, old, pair) in zip(self._alpha.split(kept), rows, strict=True):
            shift = old[pair].logsumexp(0) - new[pair].logsumexp(0)
            target[pair] = new[pair] + shift
        self._alpha.flat.copy_(kept)

    def state(self) -> Mapping[str, Tensor]:
        """Alpha and its Adam."""
        return self._alpha.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        self._alpha.restore(state)


def _drawn(p: Tensor, count: int, generator: torch.Generator) -> list[int]:
    """Distinct options drawn by their probabilities; all where there are no more."""
    count = min(count, len(p))
    indices: list[int] = torch.multinomial(p + 1e-12, count, generator=generator).tolist()
    return indices


def _gradients(loss: Tensor, by: Sequence[Tensor]) -> Sequence[Tensor]:
    """Zeros where the loss doesn't depend on one."""
    if not loss.requires_grad:  # no cost was asked for
        return [torch.zeros_like(one) for one in by]
    return torch.autograd.grad(loss, by, materialize_grads=True)
