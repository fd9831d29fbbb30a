"""NSGA-II: children of tournament winners; the best of parents and children survive."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.objectives import Objectives
from strategies.core.protocol import Child, Trial
from strategies.core.selection import Places, survivors, tournament
from strategies.core.settings import probability


@dataclass
class Strategy:
    """Deb et al. 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation 6(2).

    Asynchronous: a child can be asked for at any time and descends from the parents of that
    time, and parents change each time that population_size children are known (section III-C).
    Crossover is uniform (Syswerda 1989), as decisions have no order.

    population_size: N, number of parents, and of children in a generation (12, as suits up to
    some 500 trials; more for more); the first generation is random. crossover_probability: share
    of children with two parents (0.9, as in section V). mutations: mean number of decisions that
    a child changes at random (1; section V has each decision change with probability 1/n). A
    child equal to a parent changes at least one.
    """

    space: SearchSpace
    objectives: Objectives
    population_size: int = 12
    crossover_probability: float = 0.9
    mutations: float = 1.0
    _parents: list[Trial] = field(init=False, repr=False, default_factory=list)
    _places: Places = field(init=False, repr=False)
    _children: list[Trial] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        checks.integer("nsga2.population_size", self.population_size, least=2)
        probability("nsga2.crossover_probability", self.crossover_probability)
        checks.number("nsga2.mutations", self.mutations, least=0)

    def propose(self, rng: np.random.Generator) -> Candidate | Child:
        """Binary tournaments, crossover, mutation."""
        if not self._parents:
            return self.space.sample(rng)
        first = tournament(self._parents, self._places, rng).candidate
        second = tournament(self._parents, self._places, rng).candidate
        child, parents = first, [first]
        if rng.random() < self.crossover_probability:
            child = self.space.crossover(first, second, rng)
            parents.append(second)
        mutations = rng.binomial(len(self.space), min(1.0, self.mutations / len(self.space)))
        for _ in range(max(mutations, child in (first, second))):
            child = self.space.mutate(child, rng)
        return Child(child, tuple(dict.fromkeys(parents)))

    def learn(self, trial: Trial) -> None:
        """A generation of children and their parents compete for the parents' places."""
        self._children.append(trial)
        if len(self._children) == self.population_size:
            family = self._parents + self._children
            self._parents, self._places = survivors(family, self.population_size)
            self._children = []
