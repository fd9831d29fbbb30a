"""Inheritance in a run: with whose weights a candidate begins, and whose are kept on disk."""

from __future__ import annotations

from collections.abc import Sequence

from search_space import Candidate
from senet_nas.search.paused import Paused
from senet_nas.search.run_folder import TrialRecord
from strategies.core.protocol import Inheriting


class Inheritance:
    """Keeps the weights of the strategy's heritable trials, and of parents of what is under way.

    A parent whose weights are gone is none.
    """

    def __init__(
        self, strategy: Inheriting, weights: Paused, records: Sequence[TrialRecord]
    ) -> None:
        self.epochs = strategy.inherit_epochs
        self._strategy = strategy
        self._weights = weights
        numbers = {record.candidate: record.number for record in records}
        self._kept = {
            trial.candidate: numbers[trial.candidate]
            for trial in strategy.heritable()
            if weights.holds(numbers[trial.candidate], 0)
        }
        self._under_way: dict[int, Candidate] = {}  # a child's number to its parent
        weights.sweep(dict.fromkeys(self._kept.values(), 0))

    @property
    def applies(self) -> bool:
        """Whether the next candidate will have a parent."""
        return any(self._strategy.parent_of(one, self._kept) for one in self._kept)

    def begin(self, number: int, candidate: Candidate) -> tuple[int, Candidate] | None:
        """A trial starts: number and candidate of its parent, None where it has none."""
        parent = self._strategy.parent_of(candidate, self._kept)
        if parent is None:
            return None
        self._under_way[number] = parent.candidate
        return self._kept[parent.candidate], parent.candidate

    def enter(self, record: TrialRecord) -> None:
        """Take in what the strategy was just told, and delete weights that nobody will need."""
        self._under_way.pop(record.number, None)
        if record.scores is not None:
            self._kept[record.candidate] = record.number
        needed = {trial.candidate for trial in self._strategy.heritable()}
        needed |= set(self._under_way.values())
        for candidate in self._kept.keys() - needed:
            self._weights.drop(self._kept.pop(candidate), 0)
