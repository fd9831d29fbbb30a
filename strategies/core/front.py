"""The non-dominated trials so far, kept up to date one trial at a time."""

from __future__ import annotations

import numpy as np

from strategies.core.pareto import weakly_dominated_by, weakly_dominates
from strategies.core.protocol import Trial


class Front:
    """Non-dominated trials in order of arrival. Of equal losses the first stays."""

    def __init__(self, objectives: int) -> None:
        self.trials: list[Trial] = []
        self._losses = np.empty((0, objectives))

    def add(self, trial: Trial) -> None:
        """Takes a trial in where none dominates or equals it, and drops those it dominates."""
        point = np.array(trial.losses)
        if weakly_dominates(self._losses, point):
            return
        keep = ~weakly_dominated_by(self._losses, point)
        self.trials = [t for t, kept in zip(self.trials, keep, strict=True) if kept] + [trial]
        self._losses = np.vstack([self._losses[keep], point])
