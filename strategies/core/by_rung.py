"""Any strategy over several rungs of training: a copy of it for each rung.

Scores of different rungs can't be compared, so each copy learns one rung's. As in BOHB (Falkner et
al. 2018, arXiv 1807.01774, section 4.1) the highest rung with enough results proposes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_space.space import Candidate
from strategies.core.protocol import Child, Proposer, Trial

ENOUGH = 20


class ByRung:
    """copies: one strategy, made anew for each rung, from the lowest. Enough results are its
    `population_size`, where it has one, else 20."""

    def __init__(self, copies: Sequence[Proposer]) -> None:
        self._copies = copies
        self._learned = [0] * len(copies)
        self._enough = int(getattr(copies[0], "population_size", ENOUGH))

    def propose(self, rng: np.random.Generator) -> Candidate | Child:
        """By the highest rung that has enough results; the lowest until one has."""
        ready = [rung for rung, count in enumerate(self._learned) if count >= self._enough]
        return self._copies[max(ready, default=0)].propose(rng)

    def learn(self, trial: Trial) -> None:
        """The copy of the trial's rung learns it."""
        self._copies[trial.rung].learn(trial)
        self._learned[trial.rung] += 1
