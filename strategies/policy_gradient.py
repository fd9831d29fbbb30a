"""Reinforcement learning: a controller of one softmax a decision, trained by REINFORCE."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search_space import checks
from search_space.errors import InputError
from search_space.space import Candidate, SearchSpace
from strategies.core.objectives import SIGNS, Objectives
from strategies.core.protocol import Trial
from strategies.core.settings import probability

Array = NDArray[np.float64]


@dataclass
class Strategy:
    """REINFORCE (Williams 1992, "Simple Statistical Gradient-Following Algorithms", Machine
    Learning 8) as a search for networks (Zoph and Le 2017, arXiv 1611.01578).

    With a target, the reward is MnasNet's (Tan et al. 2019, arXiv 1807.11626, equation 2): the
    one objective that is maximised, times (cost / target) ^ exponent. Without one, several
    objectives are weighed in as many ways as there are controllers: each has a
    weighting of its own, proposes its share, and learns from every trial with the probability
    that it would have proposed it itself, over that of them all. Rewards are standardised by all
    trials so far.

    controllers: how many, where there are several objectives and no target (4). learning_rate: of
    the logits by standardised reward (0.25). entropy: weight of the entropy's gradient, against
    settling early (0.02). baseline_decay: of the moving average of rewards that is subtracted
    (0.9). target: of the cost (none). cost: the objective, to be minimised, that the target is for
    (the only one that is, if not given). exponent: w (-0.07).
    """

    space: SearchSpace
    objectives: Objectives
    controllers: int = 4
    learning_rate: float = 0.25
    entropy: float = 0.02
    baseline_decay: float = 0.9
    target: float | None = None
    cost: str | None = None
    exponent: float = -0.07
    _seen: list[float] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        checks.integer("policy_gradient.controllers", self.controllers, least=1)
        checks.number("policy_gradient.learning_rate", self.learning_rate, least=0)
        checks.number("policy_gradient.entropy", self.entropy, least=0)
        probability("policy_gradient.baseline_decay", self.baseline_decay)
        self._weights = self._weightings()
        lengths = [len(decision.options) for decision in self.space.decisions]
        self._lengths, self._starts = np.array(lengths), np.cumsum([0, *lengths[:-1]])
        self._holds = np.arange(max(lengths)) < self._lengths[:, None]  # (decisions, options)
        prior = [np.log(d.weights or np.ones(len(d.options))) for d in self.space.decisions]
        self._logits: Array = np.tile(np.concatenate(prior), (len(self._weights), 1))
        self._baseline = np.zeros(len(self._weights))
        self._count, self._mean, self._squares = 0, np.zeros(1), np.zeros(1)

    def propose(self, rng: np.random.Generator) -> Candidate:
        """One controller, each as likely, draws every decision, also those that do not count."""
        logits = self._logits[int(rng.integers(len(self._logits)))]
        noisy = np.full(self._holds.shape, -np.inf)
        noisy[self._holds] = logits + rng.gumbel(size=logits.shape)
        return tuple(noisy.argmax(axis=1).tolist())

    def learn(self, trial: Trial) -> None:
        """A step up the gradient of every controller's expected reward."""
        active = np.array(
            [self.space.is_active(trial.candidate, place) for place in range(len(self.space))]
        )
        chosen = self._starts + trial.candidate
        logs = self._log_probabilities()
        mine = (logs[:, chosen] * active).sum(axis=1)
        ratios = np.exp(mine - mine.max())
        ratios /= ratios.mean()
        advantage = self._standardised_rewards(trial) - self._baseline
        decay = self.baseline_decay if self._count > 1 else 0.0
        self._baseline += (1 - decay) * advantage * np.minimum(ratios, 1)
        probabilities = np.exp(logs)
        counts = np.repeat(active, self._lengths)
        towards = -probabilities
        towards[:, chosen] += 1
        entropies = np.add.reduceat(-probabilities * logs, self._starts, axis=1)
        spread = -probabilities * (logs + np.repeat(entropies, self._lengths, axis=1))
        step = (ratios * advantage)[:, None] * towards * counts + self.entropy * spread
        self._logits += self.learning_rate * step

    def _log_probabilities(self) -> Array:
        most = np.maximum.reduceat(self._logits, self._starts, axis=1)
        shifted = self._logits - np.repeat(most, self._lengths, axis=1)
        totals = np.log(np.add.reduceat(np.exp(shifted), self._starts, axis=1))
        return np.asarray(shifted - np.repeat(totals, self._lengths, axis=1))

    def _standardised_rewards(self, trial: Trial) -> Array:
        """Of each controller. Means and variances as Welford 1962 updates them."""
        values = -np.array(trial.losses) if self._soft is None else self._soft_constraint(trial)
        self._count += 1
        before = values - self._mean
        self._mean = self._mean + before / self._count
        self._squares = self._squares + before * (values - self._mean)
        spread = np.sqrt(self._squares / self._count)
        scaled = (values - self._mean) / np.where(spread > 0, spread, 1.0)
        return np.asarray(self._weights @ scaled)

    def _soft_constraint(self, trial: Trial) -> Array:
        """MnasNet's equation 2."""
        assert self._soft is not None and self.target is not None
        gain, cost = self._soft
        share = abs(trial.losses[cost]) / self.target
        return np.array([-trial.losses[gain] * max(share, 1e-12) ** self.exponent])

    def _weightings(self) -> Array:
        """One row a controller: spread evenly for two objectives, at random for more."""
        count = len(self.objectives.names)
        self._soft = self._gain_and_cost() if self.target is not None else None
        if count == 1 or self._soft is not None:
            return np.ones((1, 1))
        if count == 2:
            first = (np.arange(self.controllers) + 0.5) / self.controllers
            return np.stack([first, 1 - first], axis=1)
        return np.random.default_rng(0).dirichlet(np.ones(count), size=self.controllers)

    def _gain_and_cost(self) -> tuple[int, int]:
        checks.number("policy_gradient.target", self.target, least=1e-12)  # type: ignore[arg-type]
        checks.number("policy_gradient.exponent", self.exponent, least=-100)
        names, directions = self.objectives.names, self.objectives.directions
        costs = [name for name in names if SIGNS[directions[name]] > 0]
        gains = [name for name in names if SIGNS[directions[name]] < 0]
        cost = costs[0] if self.cost is None and len(costs) == 1 else self.cost
        if cost not in costs or len(gains) != 1:
            raise InputError(
                "policy_gradient.target needs one objective to maximise and, as `cost`, one to "
                f"minimise (to maximise: {', '.join(gains) or 'none'}; to minimise: "
                f"{', '.join(costs) or 'none'}; cost: {self.cost!r})"
            )
        return names.index(gains[0]), names.index(cost)
