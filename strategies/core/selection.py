"""Who may be a parent, and who survives: the crowded comparison and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.core.pareto import Losses, crowding_distances, domination_ranks
from strategies.core.protocol import Trial

Places = NDArray[np.int64]


def losses_of(trials: Sequence[Trial]) -> Losses:
    """The losses of trials as an array of one row a trial."""
    return np.array([trial.losses for trial in trials])


def crowded_places(losses: Losses) -> Places:
    """Each point's place by the crowded comparison, 0 for the best; equals share a place.

    Lower front first, then larger crowding distance in it (Deb et al. 2002, section III-B). With
    one objective that is its order.
    """
    ranks = domination_ranks(losses)
    crowding = np.empty(len(losses))
    for rank in range(int(ranks.max()) + 1):
        members = ranks == rank
        crowding[members] = crowding_distances(losses[members])
    order = np.lexsort((-crowding, ranks))
    ordered = np.array([ranks, -crowding])[:, order]
    differs = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    places = np.empty(len(losses), dtype=np.int64)
    places[order] = np.concatenate([[0], np.cumsum(differs)])
    return places


def fittest(trials: Sequence[Trial]) -> Trial:
    """The best of a sample by the crowded comparison within it; the first of equals."""
    return trials[int(crowded_places(losses_of(trials)).argmin())]


def survivors(trials: Sequence[Trial], count: int) -> tuple[list[Trial], Places]:
    """The best `count` trials, best first, and their places among all; among equals those that
    came first (Deb et al. 2002, section III-C)."""
    places = crowded_places(losses_of(trials))
    best = np.argsort(places, kind="stable")[:count]
    return [trials[index] for index in best], places[best]


def tournament(
    trials: Sequence[Trial], places: Places, rng: np.random.Generator, size: int = 2
) -> Trial:
    """The best placed of `size` trials drawn with replacement; of equals the one drawn first."""
    drawn = rng.integers(len(trials), size=size)
    return trials[int(drawn[places[drawn].argmin()])]


def sample_with_replacement(
    trials: Sequence[Trial], count: int, rng: np.random.Generator
) -> list[Trial]:
    """Trials drawn uniformly, each draw from all of them."""
    return [trials[index] for index in rng.integers(len(trials), size=count)]
