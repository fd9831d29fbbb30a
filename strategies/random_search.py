"""Random search: the null model that every other strategy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_space.space import Candidate, SearchSpace
from strategies.core.objectives import Objectives
from strategies.core.protocol import Trial


@dataclass(frozen=True)
class Strategy:
    """Candidates drawn independently by the space's weights.

    Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13; as a
    baseline for architectures: Li and Talwalkar 2019, arXiv 1902.07638. No settings.
    """

    space: SearchSpace
    objectives: Objectives

    def propose(self, rng: np.random.Generator) -> Candidate:
        """A random candidate."""
        return self.space.sample(rng)

    def learn(self, trial: Trial) -> None:
        """Nothing."""
