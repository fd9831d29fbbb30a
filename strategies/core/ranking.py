"""Trials from best to worst by several objectives, kept up to date one trial at a time.

Front by front (Deb et al. 2002, section III-A), each front spread out by an epsilon-net (Salinas et
al. 2021, arXiv 2106.05680, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.core.pareto import Losses

Order = NDArray[np.int64]


def epsilon_net(losses: Losses) -> Order:
    """Points in the order in which each is the furthest from those before it, so that any number
    of first ones covers the whole.

    The first is the best by the first objective; of equals the earlier. Distances are Euclidean,
    each objective scaled to its range.
    """
    span = np.ptp(losses, axis=0)
    scaled = losses / np.where(span > 0, span, 1.0)
    order = [int(losses[:, 0].argmin())]
    distance = np.full(len(losses), np.inf)
    while len(order) < len(losses):
        apart = scaled - scaled[order[-1]]
        np.minimum(distance, np.sqrt(np.einsum("ij,ij->i", apart, apart)), out=distance)
        distance[order] = -1.0
        order.append(int(distance.argmax()))
    return np.array(order, dtype=np.int64)


class Ranking:
    """Points by the order of arrival, in fronts that each new point changes where it must.

    A point enters the first front that has none to dominate it; those that it dominates there go
    down a front, and so on (Li et al. 2017, "Efficient Nondomination Level Update Method for
    Steady-State Evolutionary Multiobjective Optimization", IEEE Transactions on Cybernetics 47(9)).
    Orders within fronts are computed when they are asked for, once a change.
    """

    def __init__(self, objectives: int) -> None:
        self._points = np.empty((16, objectives))
        self._ranks: list[int] = []
        self._fronts: list[Order] = []  # each ascending
        self._nets: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._ranks)

    def add(self, losses: Sequence[float]) -> None:
        """The next point; losses are to be minimised."""
        number = len(self)
        if number == len(self._points):
            self._points = np.concatenate([self._points, np.empty_like(self._points)])
        self._points[number] = losses
        rank = self._rank_of(self._points[number])
        self._ranks.append(rank)
        moving = np.array([number])
        while len(moving):
            if rank == len(self._fronts):
                self._fronts.append(np.empty(0, dtype=np.int64))
            here = self._fronts[rank]
            beaten = _dominated(self._points[here], self._points[moving])
            self._fronts[rank] = np.sort(np.concatenate([here[~beaten], moving]))
            self._nets.pop(rank, None)
            for moved in moving.tolist():
                self._ranks[moved] = rank
            moving, rank = here[beaten], rank + 1

    def rank(self, number: int) -> int:
        """The front of a point, 0 for the non-dominated ones."""
        return self._ranks[number]

    def front(self, rank: int) -> list[int]:
        """The points of a front, in their order."""
        if rank not in self._nets:
            front = self._fronts[rank]
            self._nets[rank] = front[epsilon_net(self._points[front])].tolist()
        return self._nets[rank]

    def order(self) -> list[int]:
        """All points, from best to worst."""
        return [number for rank in range(len(self._fronts)) for number in self.front(rank)]

    def _rank_of(self, point: Losses) -> int:
        """Of a new point: where one of a front dominates it, one of each front above does too."""
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            if _dominated(point[None], self._points[self._fronts[middle]])[0]:
                low = middle + 1
            else:
                high = middle
        return low


def _dominated(points: Losses, by: Losses) -> NDArray[np.bool_]:
    """Which points are nowhere better than one of the others, and somewhere worse."""
    nowhere_better = (by[None] <= points[:, None]).all(axis=2)
    somewhere_worse = (by[None] < points[:, None]).any(axis=2)
    dominated: NDArray[np.bool_] = np.logical_and(nowhere_better, somewhere_worse)
    return np.asarray(dominated.any(axis=1))
