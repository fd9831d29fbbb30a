"""Regularized evolution: the best of a sample has a mutated child, and the oldest dies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.objectives import Objectives
from strategies.core.protocol import Child, Trial
from strategies.core.selection import fittest, sample_with_replacement


@dataclass
class Strategy:
    """Ageing evolution of Real et al. 2019, "Regularized Evolution for Image Classifier
    Architecture Search", AAAI, arXiv 1802.01548, algorithm 1.

    With several objectives the best of the sample is by non-dominated front, then by crowding
    distance, both within the sample (the crowded comparison of Deb et al. 2002).

    population_size: P, trials that are alive (20, as suits up to some 500 trials; section 3 has
    100); until so many are known, candidates are random. sample_size: S, trials drawn with
    replacement for a tournament (5; 25 for a population of 100); 1 is a random walk, more means
    greedier.
    """

    space: SearchSpace
    objectives: Objectives
    population_size: int = 20
    sample_size: int = 5
    _population: deque[Trial] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checks.integer("regularized_evolution.population_size", self.population_size, least=1)
        checks.integer("regularized_evolution.sample_size", self.sample_size, least=1)
        self._population = deque(maxlen=self.population_size)

    def propose(self, rng: np.random.Generator) -> Candidate | Child:
        """A mutation of the fittest of a sample."""
        if len(self._population) < self.population_size:
            return self.space.sample(rng)
        parent = fittest(sample_with_replacement(self._population, self.sample_size, rng))
        return Child(self.space.mutate(parent.candidate, rng), (parent.candidate,))

    def learn(self, trial: Trial) -> None:
        """The newest joins; the oldest leaves where there are more than P."""
        self._population.append(trial)
