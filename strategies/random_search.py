"""Random search: the null model that every other strategy has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search_space import checks
from search_space.errors import InputError
from search_space.space import Candidate, SearchSpace
from strategies.core.ledger import Ledger
from strategies.core.objectives import Objectives
from strategies.core.protocol import Trial
from strategies.core.walk import walk_to_free

CLIMBS = 4
STEPS = 200  # of a climb to an end of the range, and of a walk into a bin


@dataclass
class Strategy:
    """Candidates drawn independently by the space's weights.

    Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13; as a
    baseline for architectures: Li and Talwalkar 2019, arXiv 1902.07638.

    uniform_over: a known score, such as macs, that candidates are spread evenly over, so that
    the ends of the front, which random networks rarely come near, are covered too; none by
    default. bins: parts of equal width that its range is divided into (10); each is as likely.
    """

    space: SearchSpace
    objectives: Objectives
    ledger: Ledger
    uniform_over: str | None = None
    bins: int = 10

    def __post_init__(self) -> None:
        checks.integer("random_search.bins", self.bins, least=1)
        if self.uniform_over is not None and not self.ledger.knows(self.uniform_over):
            raise InputError(
                f"random_search.uniform_over: {self.uniform_over!r} can't be computed before "
                f"training (known: {', '.join(self.ledger.known) or 'none'})"
            )

    def propose(self, rng: np.random.Generator) -> Candidate:
        """A random candidate; with bins, one that a random walk brings into a random bin."""
        start = self.space.sample(rng)
        if self.uniform_over is None:
            return start
        number = int(rng.integers(self.bins))
        least, most = self._edges[number], self._edges[number + 1]

        def outside(candidate: Candidate) -> float:
            value = self._value(candidate)
            return max(least - value, value - most, 0.0)

        if outside(start) == 0:
            return start
        return walk_to_free(self.space, start, rng, outside, lambda _: False, STEPS) or start

    def learn(self, trial: Trial) -> None:
        """Nothing."""

    def _value(self, candidate: Candidate) -> float:
        return self.ledger.value(str(self.uniform_over), candidate)

    @cached_property
    def _edges(self) -> list[float]:
        """Of the bins, from the least score that climbs of single mutations find to the most."""
        rng = np.random.default_rng(0)
        ends = [self._climb(sign, rng) for sign in (1.0, -1.0) for _ in range(CLIMBS)]
        return [float(x) for x in np.linspace(min(ends), max(ends), self.bins + 1)]

    def _climb(self, sign: float, rng: np.random.Generator) -> float:
        place = self.space.sample(rng)
        for _ in range(STEPS):
            step = self.space.mutate(place, rng)
            if sign * self._value(step) <= sign * self._value(place):
                place = step
        return self._value(place)
