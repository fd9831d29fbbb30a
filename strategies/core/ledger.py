"""The books of a search: what was told, what is pending, what may still be asked for, and the
scores that are known before training."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache

from search_space.space import Candidate, SearchSpace
from strategies.core.limits import REMEMBERED, Bound, Known, Limits
from strategies.core.protocol import Trial


class Ledger:
    """`AskTell` keeps it; a strategy whose class takes `ledger` may read it while it proposes.

    told, pending: in the order of arrival and of asking; pending with their parents. known: names
    of the scores that can be computed before training. key: equal for candidates of one network.
    """

    def __init__(self, space: SearchSpace, known: Known, limits: Mapping[str, Bound]) -> None:
        self.told: dict[Candidate, Trial] = {}
        self.pending: dict[Candidate, tuple[Candidate, ...]] = {}
        self.known = tuple(known)
        self._limits = Limits(known, limits)
        self.key = space.key if space.identify is None else lru_cache(REMEMBERED)(space.key)
        self._taken: set[Hashable] = set()  # keys of what was told or is pending

    def knows(self, name: str) -> bool:
        """Whether a score of this name can be computed before training."""
        return name in self.known

    def value(self, name: str, candidate: Candidate) -> float:
        """A known score of a candidate, computed once."""
        return self._limits.value(name, candidate)

    def excess(self, candidate: Candidate) -> float:
        """How far a candidate is outside of the limits: 0 within all."""
        return self._limits.excess(candidate)

    def is_taken(self, candidate: Candidate) -> bool:
        """Whether it, or another of the same network, was told or is pending."""
        return self.key(candidate) in self._taken

    def is_free(self, candidate: Candidate) -> bool:
        """Whether it may be asked for: not taken, and within the limits."""
        return not self.is_taken(candidate) and self.excess(candidate) == 0

    def ask(self, candidate: Candidate, parents: tuple[Candidate, ...] = ()) -> None:
        """Enters a candidate that was given out."""
        self.pending[candidate] = parents
        self._taken.add(self.key(candidate))

    def tell(self, trial: Trial) -> None:
        """Enters a trial that ended."""
        self._taken.add(self.key(trial.candidate))
        self.pending.pop(trial.candidate, None)
        self.told[trial.candidate] = trial
