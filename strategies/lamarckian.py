"""Lamarckian evolution: children begin with their parent's weights, and so train for less."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.front import Front
from strategies.core.objectives import Objectives
from strategies.core.protocol import Child, Trial
from strategies.core.selection import fittest, sample_with_replacement


@dataclass
class Strategy:
    """LEMONADE's idea (Elsken et al. 2019, "Efficient Multi-objective Neural Architecture Search
    via Lamarckian Evolution", ICLR, arXiv 1804.09081) in ageing evolution (Real et al. 2019, arXiv
    1802.01548): the fittest of a sample of the population and the front has a mutated child.

    population_size: trials that are alive (20); until so many are known, candidates are random and
    trained in full. sample_size: trials drawn for a tournament (5). inherit_epochs: epochs that a
    child trains for (1), from the weights of the most similar trial that is alive or on the front.
    """

    space: SearchSpace
    objectives: Objectives
    population_size: int = 20
    sample_size: int = 5
    inherit_epochs: int = 1
    _population: deque[Trial] = field(init=False, repr=False)
    _front: Front = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checks.integer("lamarckian.population_size", self.population_size, least=1)
        checks.integer("lamarckian.sample_size", self.sample_size, least=1)
        checks.integer("lamarckian.inherit_epochs", self.inherit_epochs, least=1)
        self._population = deque(maxlen=self.population_size)
        self._front = Front(len(self.objectives.names))

    def propose(self, rng: np.random.Generator) -> Candidate | Child:
        """A mutation of the fittest of a sample."""
        if not self._is_full():
            return self.space.sample(rng)
        parent = fittest(sample_with_replacement(self.heritable(), self.sample_size, rng))
        return Child(self.space.mutate(parent.candidate, rng), (parent.candidate,))

    def learn(self, trial: Trial) -> None:
        """The newest joins; the oldest leaves where there are more than population_size."""
        self._population.append(trial)
        self._front.add(trial)

    def heritable(self) -> list[Trial]:
        """The trials whose weights children may inherit, in the order of arrival: those that are
        alive, and the front."""
        trials = {trial.number: trial for trial in (*self._population, *self._front.trials)}
        return [trials[number] for number in sorted(trials)]

    def parent_of(self, candidate: Candidate, among: Container[Candidate]) -> Trial | None:
        """Whose weights a candidate is to begin with, of those `among` which they are kept: the
        trial that differs in the fewest decisions, of several the latest. None to begin anew."""
        kept = [trial for trial in self.heritable() if trial.candidate in among]
        if not kept or not self._is_full():
            return None
        return min(kept, key=lambda trial: (_differing(trial.candidate, candidate), -trial.number))

    def _is_full(self) -> bool:
        return len(self._population) == self.population_size


def _differing(one: Candidate, other: Candidate) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))
