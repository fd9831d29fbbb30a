"""Dominance among losses: arrays of one row a point, one column an objective to minimise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]


def domination_ranks(losses: Losses) -> NDArray[np.int64]:
    """Each point's front, 0 for the non-dominated ones (Deb et al. 2002, section III-A).

    Points with equal losses are in the same front.
    """
    if losses.shape[1] == 1:
        distinct_before: NDArray[np.int64] = np.unique(losses[:, 0], return_inverse=True)[1]
        return distinct_before.reshape(-1)
    import moocore  # here, so that what ranks nothing doesn't need it

    return np.asarray(moocore.pareto_rank(losses), dtype=np.int64)


def weakly_dominated_by(losses: Losses, point: Losses) -> NDArray[np.bool_]:
    """Which points are nowhere better than the given one, those equal to it included."""
    return np.asarray((losses >= point).all(axis=1))


def weakly_dominates(losses: Losses, point: Losses) -> bool:
    """Whether any of the points is nowhere worse than the given one, equal ones included."""
    return bool((losses <= point).all(axis=1).any())


def crowding_distances(losses: Losses) -> NDArray[np.float64]:
    """Half the perimeter of the box that a point's neighbours in its own front span, each
    objective scaled to its range there; infinite at the ends (Deb et al. 2002, section III-B)."""
    distances = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        ascending = column[order]
        distances[order[[0, -1]]] = np.inf
        span = ascending[-1] - ascending[0]
        if span > 0:
            distances[order[1:-1]] += (ascending[2:] - ascending[:-2]) / span
    return distances
