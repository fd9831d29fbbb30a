"""Asynchronous successive halving over several objectives: who is worth training further.

Promotion is that of ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning",
arXiv 1810.05934, algorithm 2), delayed as in Hyper-Tune (Li et al. 2022, arXiv 2201.06834, section
4.2): no more go on than one in so many of those that finished. The ranking within a rung is that of
MO-ASHA (Schmucker et al. 2021, arXiv 2106.12639, section 3): non-dominated sorting, and within a
front an epsilon-net.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search_space import checks
from strategies.core.pareto import Losses, domination_ranks

Order = NDArray[np.int64]


def rung_order(losses: Losses) -> Order:
    """Indices of a rung's trials from best to worst: front by front, each front spread out."""
    if not len(losses):
        return np.empty(0, dtype=np.int64)
    ranks = domination_ranks(losses)
    fronts = [np.flatnonzero(ranks == rank) for rank in range(int(ranks.max()) + 1)]
    return np.concatenate([front[epsilon_net(losses[front])] for front in fronts])


def epsilon_net(losses: Losses) -> Order:
    """Points in the order in which each is the furthest from those before it, so that any number
    of first ones covers the whole (Salinas et al. 2021, arXiv 2106.05680, section 3.2).

    The first is the best by the first objective; of equals the earlier. Distances are Euclidean,
    each objective scaled to its range.
    """
    span = np.ptp(losses, axis=0)
    scaled = losses / np.where(span > 0, span, 1.0)
    order = [int(losses[:, 0].argmin())]
    distance = np.full(len(losses), np.inf)
    while len(order) < len(losses):
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[order[-1]], axis=1))
        distance[order] = -1.0
        order.append(int(distance.argmax()))
    return np.array(order, dtype=np.int64)


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
        self._losses: list[list[Sequence[float]]] = [[] for _ in range(count)]
        self._order: list[list[int]] = [[] for _ in range(count)]  # the trials, best first
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
        self._trials[rung].append(trial)
        self._losses[rung].append(losses)
        if rung == self.count - 1:
            return
        self._paused[trial] = rung
        order = [self._trials[rung][i] for i in rung_order(np.array(self._losses[rung]))]
        self._order[rung] = order
        waiting = [one for one in order if self._paused.get(one) == rung]
        for given_up in waiting[max(0, self._due(rung)) + self._waiting :]:
            del self._paused[given_up]

    def next(self) -> tuple[int, int] | None:
        """The trial to go on with, and the rung to take it to: at the highest rung where one may
        go on, the best. Changes nothing: `promote` does."""
        for rung in reversed(range(self.count - 1)):
            if self._due(rung) > 0:
                for trial in self._order[rung]:
                    if self._paused.get(trial) == rung:
                        return trial, rung + 1
        return None

    def _due(self, rung: int) -> int:
        """How many more may go on."""
        return len(self._trials[rung]) // self._reduction - len(self._gone_on[rung])

    def promote(self, trial: int) -> None:
        """A paused trial goes on."""
        self._gone_on[self._paused.pop(trial)].add(trial)

    def give_up(self, trial: int) -> None:
        """A paused trial can't go on."""
        self._paused.pop(trial, None)
