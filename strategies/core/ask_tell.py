"""Ask and tell: everything about a search that is the same for every strategy.

The n-th trial is drawn with `default_rng([seed, n])` and only `tell` changes what is learned, so
a new strategy that is told a recorded history continues as the recorded one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from search_space import checks
from search_space.errors import InputError
from search_space.space import Candidate, SearchSpace
from strategies.core.front import Front
from strategies.core.ledger import Ledger
from strategies.core.objectives import Objectives
from strategies.core.protocol import Child, Inheriting, Proposer, Trial
from strategies.core.unseen import Unseen
from strategies.core.walk import walk_to_free

PROPOSALS = 20  # tried before the strategy is taken to have nothing new
WALKS = 4
WALK_STEPS = 100
SMALL_SPACE = 100_000  # candidates; up to here all are listed before a search is at its end

Prefer = Callable[[Sequence[Candidate]], Candidate]


class AskTell:
    """A strategy at work: candidates out, scores in.

    No candidate is given twice, failed ones included, none that stands for the same network as one
    that was told or is pending, and none outside of the limits.

    draws: how many candidates the strategy proposes for one that is given out. prefer: which one
    of them that is; it must depend on them alone, so that a resumed search goes on as it would
    have.
    """

    def __init__(
        self,
        proposer: Proposer,
        ledger: Ledger,
        space: SearchSpace,
        objectives: Objectives,
        seed: int,
        first: Sequence[Candidate] = (),
        rungs: int = 1,
        draws: int = 1,
        prefer: Prefer | None = None,
    ) -> None:
        checks.integer("seed", seed, least=0)
        checks.integer("draws", draws, least=1)
        if draws > 1 and prefer is None:
            raise InputError(f"of {draws} draws one must be preferred: give `prefer`")
        self._draws, self._prefer = draws, prefer
        self._rungs = rungs
        self.space = space
        self.objectives = objectives
        self._proposer = proposer
        self._seed = seed
        self._ledger = ledger
        self._first = [space.normalise(candidate) for candidate in first]
        self._front = Front(len(objectives.names))
        self._front_rung = 0
        self._exhausted = False

    @property
    def number(self) -> int:
        """The number of the next trial: how many were told or are pending."""
        return len(self._ledger.told) + len(self._ledger.pending)

    @property
    def pending(self) -> tuple[Candidate, ...]:
        """Candidates asked for and not yet told, in the order of asking."""
        return tuple(self._ledger.pending)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial told, in the order of arrival, failed ones included."""
        return tuple(self._ledger.told.values())

    @property
    def inheriting(self) -> Inheriting | None:
        """The strategy, where its candidates begin with the weights of others."""
        return self._proposer if isinstance(self._proposer, Inheriting) else None

    @property
    def exhausted(self) -> bool:
        """Whether the last `ask` found nothing and no further result can change that."""
        return self._exhausted

    def ask(self) -> Candidate | None:
        """The next candidate to evaluate.

        None where there is none: for good if `exhausted`, else until a pending trial is told.
        """
        rng = np.random.default_rng([self._seed, self.number])
        found = self._given() or self._propose(rng) or self._walk(rng)
        if found is None and self._is_small:
            found = _alone(self._unseen.first_from(self.space.sample(rng)))
        self._exhausted = found is None and (self._is_small or not self._ledger.pending)
        if found is None:
            return None
        self._ledger.ask(found.candidate, found.parents)
        return found.candidate

    def parents(self, candidate: Candidate) -> tuple[Candidate, ...]:
        """Whom a pending candidate was made from: the parents that a strategy of children gave
        it, or the member of the front from which a walk led to it. None where it was drawn anew.
        """
        return self._ledger.pending[candidate]

    def tell(
        self, candidate: Sequence[int], scores: Mapping[str, Any] | None, rung: int = 0
    ) -> None:
        """The scores of a candidate, asked for or not; None where its evaluation failed.

        rung: how far it was trained, where the strategy was made for several; a candidate may be
        told again at a higher one, and what it was told before holds where it fails there.
        Objectives that are known before training may be left out; scores that are no objectives
        are kept in the record. Raises `InputError`, and changes nothing, where an objective is
        missing or not finite, or the candidate was told before. Another candidate of the same
        network is taken in: an older record may hold both.
        """
        checks.integer("rung", rung, least=0)
        if rung >= self._rungs:
            raise InputError(f"rung must be below {self._rungs}, the number of rungs, not {rung}")
        told = self.space.normalise(candidate)
        earlier = self._ledger.told.get(told)
        if earlier is not None and (rung <= earlier.rung or earlier.scores is None):
            raise InputError(f"candidate {told} was told before, as trial {earlier.number}")
        record = None if scores is None else self._completed(told, scores)
        losses = () if record is None else self.objectives.losses(record)
        number = len(self._ledger.told) if earlier is None else earlier.number
        trial = Trial(number, told, record, losses, rung)
        if record is not None or earlier is None:
            self._ledger.tell(trial)
        if record is not None:
            self._add_to_front(trial)
            self._proposer.learn(trial)

    def _add_to_front(self, trial: Trial) -> None:
        if trial.rung > self._front_rung:
            self._front, self._front_rung = Front(len(self.objectives.names)), trial.rung
        if trial.rung == self._front_rung:
            self._front.add(trial)

    def front(self) -> list[tuple[Candidate, dict[str, Any]]]:
        """The non-dominated candidates with their scores, in the order of arrival; of candidates
        with equal objectives the first. Where training has rungs, of those at the highest one."""
        return [(trial.candidate, dict(trial.scores or {})) for trial in self._front.trials]

    def _completed(self, candidate: Candidate, scores: Mapping[str, Any]) -> dict[str, Any]:
        absent = [n for n in self.objectives.names if n not in scores and self._ledger.knows(n)]
        return {**scores, **{name: self._ledger.value(name, candidate) for name in absent}}

    def _given(self) -> Child | None:
        return _alone(next(filter(self._ledger.is_free, self._first), None))

    def _propose(self, rng: np.random.Generator) -> Child | None:
        """The strategy's, or the preferred one of as many distinct ones as it has."""
        drawn: dict[Hashable, Child] = {}
        misses = 0
        while len(drawn) < self._draws and misses < PROPOSALS:
            proposed = self._proposer.propose(rng)
            made = proposed if isinstance(proposed, Child) else Child(proposed, ())
            candidate = self.space.normalise(made.candidate)
            key = self._ledger.key(candidate)
            if key not in drawn and self._ledger.is_free(candidate):
                drawn[key] = Child(candidate, made.parents)
            else:
                misses += 1
        found = {child.candidate: child for child in drawn.values()}
        if self._prefer is None or not found:
            return next(iter(found.values()), None)
        return found[self._prefer(list(found))]

    def _walk(self, rng: np.random.Generator) -> Child | None:
        """From members of the front and from random candidates in turn."""
        for walk in range(WALKS):
            best = self._front.trials
            is_from_front = walk % 2 == 0 and bool(best)
            if is_from_front:
                start = best[int(rng.integers(len(best)))].candidate
            else:
                start = self.space.sample(rng)
            found = walk_to_free(
                self.space, start, rng, self._ledger.excess, self._ledger.is_taken, WALK_STEPS
            )
            if found is not None:
                return Child(found, (start,) if is_from_front else ())
        return None

    @cached_property
    def _is_small(self) -> bool:
        return self.space.size() <= SMALL_SPACE

    @cached_property
    def _unseen(self) -> Unseen:
        return Unseen(self.space, self._ledger.is_free)


def _alone(candidate: Candidate | None) -> Child | None:
    """A candidate without parents."""
    return None if candidate is None else Child(candidate, ())
