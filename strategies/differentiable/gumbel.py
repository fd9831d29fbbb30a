"""Networks drawn by the Gumbel-max trick, and gradients through its softmax: GDAS (Dong and Yang
2019, arXiv 1910.04465) and SNAS (Xie et al. 2019, arXiv 1812.09926)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search_space import checks
from search_space.errors import InputError
from strategies.core.weight_sharing import RelaxedSupernet
from strategies.differentiable.core.alpha import Alpha, one_hot, step_generator

BETAS = (0.5, 0.999)  # of Adam, as in both papers

Sample = tuple[list[Tensor], list[list[int]] | None]


@dataclass
class Strategy:
    """GDAS, algorithm 1: the weights learn from one network drawn, then alpha from another.

    hard: weights are 0 and 1, with the gradient of the softmax (GDAS, equations 3 to 5), and only
    the options drawn are computed; not so, they are the softmax, over all options (SNAS, equation
    4). computed: how many options of a decision are computed for alpha's step, the likeliest of
    the draw; the network is that of the first. 1 is GDAS, where an option only learns how much
    more or less of it would do, which behind a batch norm is nothing: only SE and what ends the
    network learn from images then. From 2 on also what another in its place would.
    temperature_start, temperature_end: tau, which falls along a line. alpha_rate, alpha_decay: of
    alpha's Adam.
    """

    lengths: Sequence[int]
    seed: int = 0
    hard: bool = True
    computed: int = 2
    temperature_start: float = 10.0
    temperature_end: float = 0.1
    alpha_rate: float = 3e-4
    alpha_decay: float = 1e-3

    def __post_init__(self) -> None:
        checks.boolean("gumbel.hard", self.hard)
        checks.integer("gumbel.computed", self.computed, least=1)
        for name in ("temperature_start", "temperature_end"):
            checks.number(f"gumbel.{name}", getattr(self, name), least=0.0)
            if getattr(self, name) == 0:
                raise InputError(f"gumbel.{name} must be above 0")
        self._alpha = Alpha(self.lengths, self.seed, self.alpha_rate, self.alpha_decay, BETAS)

    def probabilities(self) -> Sequence[Tensor]:
        """Of each option, for each decision: those with which networks are drawn."""
        return self._alpha.probabilities()

    def alpha(self) -> Sequence[Tensor]:
        """The architecture parameters of each decision."""
        return self._alpha.split()

    def step(self, supernet: RelaxedSupernet, number: int, progress: float) -> None:
        """The weights learn from one draw, alpha from another."""
        generator = step_generator(self.seed, number)
        tau = self.temperature_start + progress * (self.temperature_end - self.temperature_start)
        mixture, support = self._settled(self.draw(generator, tau, 1))
        supernet.update_weights(supernet.training_loss(mixture, support))
        mixture, support = self.draw(generator, tau, self.computed)
        loss = supernet.validation_loss(mixture, support)
        loss = loss + supernet.cost_loss(self._alpha.probabilities())
        self._alpha.descend(self._alpha.gradient(loss))

    def draw(self, generator: torch.Generator, tau: float, computed: int) -> Sample:
        """A mixture, and the options of it that are computed."""
        exponential = torch.empty(len(self._alpha.flat)).exponential_(generator=generator)
        noise = -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()  # Gumbel(0, 1)
        mixture, support = [], []
        for alpha, o in zip(self._alpha.split(), self._alpha.split(noise), strict=True):
            drawn = alpha.log_softmax(0) + o
            soft = (drawn / tau).softmax(0)  # GDAS, equation 4
            likeliest = drawn.detach().topk(min(computed, len(drawn))).indices.tolist()
            hard = one_hot(likeliest[0], len(drawn))
            mixture.append(hard + (soft - soft.detach()) if self.hard else soft)
            support.append(likeliest)
        return mixture, support if self.hard else None

    @staticmethod
    def _settled(sample: Sample) -> Sample:
        return [weights.detach() for weights in sample[0]], sample[1]

    def state(self) -> Mapping[str, Tensor]:
        """Alpha and its Adam."""
        return self._alpha.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        self._alpha.restore(state)
