"""Asynchronous successive halving over several objectives: who is worth training further.

Promotion is that of ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning",
arXiv 1810.05934, algorithm 2), delayed as in Hyper-Tune (Li et al. 2022, arXiv 2201.06834, section
4.2): no more go on than one in so many of those that finished. The ranking within a rung is that of
MO-ASHA (Schmucker et al. 2021, arXiv 2106.12639, section 3): non-dominated sorting, and within a
front an epsilon-net.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_space import checks
from strategies.core.ranking import Ranking


class Rungs:
    """Which trials wait at which rung, and which of them goes on next.

    count: of rungs; who finishes the last is done. reduction: of those that finished a rung, one
    in so many goes on. waiting: besides those that are due, so many of the best at a rung can still
    be promoted when more have come; the rest is given up, so that what is kept for them is bounded.
    State follows from what was entered, in that order, but for promotions under way.
    """

    def __init__(self, count: int, reduction: int, waiting: int) -> None:
        checks.integer("rungs", count, least=1)
        checks.integer("reduction", reduction, least=2)
        checks.integer("waiting", waiting, least=1)
        self.count = count
        self._reduction = reduction
        self._waiting = waiting
        self._trials: list[list[int]] = [[] for _ in range(count)]
        self._places: list[dict[int, int]] = [{} for _ in range(count)]  # of a trial in a rung
        self._rankings: list[Ranking | None] = [None] * count
        self._gone_on: list[set[int]] = [set() for _ in range(count)]
        self._paused: dict[int, int] = {}  # trial to the rung that it finished

    @property
    def paused(self) -> dict[int, int]:
        """The trials that can still be promoted, each with the rung that it finished."""
        return dict(self._paused)

    def enter(self, trial: int, rung: int, losses: Sequence[float]) -> None:
        """A trial has finished a rung. losses: to be minimised; empty where it failed."""
        self._paused.pop(trial, None)
        if rung:
            self._gone_on[rung - 1].add(trial)
        if not losses:
            return
        self._places[rung][trial] = len(self._trials[rung])
        self._trials[rung].append(trial)
        if rung == self.count - 1:
            return
        ranking = self._rankings[rung] or Ranking(len(losses))
        self._rankings[rung] = ranking
        ranking.add(losses)
        self._paused[trial] = rung
        waiting = [one for one, finished in self._paused.items() if finished == rung]
        while len(waiting) > max(0, self._due(rung)) + self._waiting:
            worst = self._extreme(rung, waiting, best=False)
            waiting.remove(worst)
            del self._paused[worst]

    def next(self) -> tuple[int, int] | None:
        """The trial to go on with, and the rung to take it to: at the highest rung where one may
        go on, the best. Changes nothing: `promote` does."""
        for rung in reversed(range(self.count - 1)):
            waiting = [one for one, finished in self._paused.items() if finished == rung]
            if waiting and self._due(rung) > 0:
                return self._extreme(rung, waiting, best=True), rung + 1
        return None

    def _extreme(self, rung: int, waiting: Sequence[int], *, best: bool) -> int:
        """Of trials that wait at a rung the best, or the worst."""
        ranking, trials = self._rankings[rung], self._trials[rung]
        assert ranking is not None
        ranks = [ranking.rank(self._places[rung][trial]) for trial in waiting]
        front = ranking.front(min(ranks) if best else max(ranks))
        ordered = (trials[place] for place in (front if best else reversed(front)))
        among = set(waiting)
        return next(trial for trial in ordered if trial in among)

    def _due(self, rung: int) -> int:
        """How many more may go on."""
        return len(self._trials[rung]) // self._reduction - len(self._gone_on[rung])

    def promote(self, trial: int) -> None:
        """A paused trial goes on."""
        self._gone_on[self._paused.pop(trial)].add(trial)

    def give_up(self, trial: int) -> None:
        """A paused trial can't go on."""
        self._paused.pop(trial, None)
