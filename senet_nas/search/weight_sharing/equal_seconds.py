"""Random search for as long as something else took: the networks that it trains in that time.

How long a network takes is known once it is trained, so they are trained in rounds, until the time
that they took themselves is spent. Those that are spread over the range of cost would tell too
little: most random networks are cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from search_space import Candidate

MOST = 500  # networks of one search

# Trains those that aren't trained yet; the seconds of each that ever was.
Trained = Callable[[Sequence[Candidate]], Mapping[Candidate, float]]


def random_searches(
    streams: Sequence[Iterator[Candidate]], trained: Trained, seconds: float
) -> tuple[tuple[Candidate, ...], ...]:
    """For each stream of candidates the first ones that together take at most so many seconds, at
    least one. All of them are trained, and a few more."""
    searches = [_Search(stream) for stream in streams]
    known = _with_failed(trained([]))
    while True:
        found = [search.within(seconds, known) for search in searches]
        due = [
            candidate
            for search, (networks, lacking) in zip(searches, found, strict=True)
            for candidate in search.slice(len(networks), lacking)
        ]
        if not due:
            return tuple(networks for networks, _ in found)
        known = _with_failed(trained(list(dict.fromkeys(due))))


def _with_failed(seconds: Mapping[Candidate, float]) -> dict[Candidate, float]:
    """A network that couldn't be trained, of which no time is known, counts as a typical one."""
    typical = float(np.mean([value for value in seconds.values() if value] or [1.0]))
    return {candidate: value or typical for candidate, value in seconds.items()}


class _Search:
    """One search's networks in the order in which they are drawn."""

    def __init__(self, stream: Iterator[Candidate]) -> None:
        self._stream = islice(stream, MOST)
        self._drawn: list[Candidate] = []

    def within(
        self, seconds: float, known: Mapping[Candidate, float]
    ) -> tuple[tuple[Candidate, ...], int]:
        """The networks, as far as their times are known, and how many more are to be trained."""
        found: list[Candidate] = []
        left = seconds
        while (candidate := self._at(len(found))) is not None:
            if candidate not in known:
                each = float(np.mean([known[one] for one in found or known]))
                return tuple(found), max(1, math.ceil(left / max(each, 1e-9)))
            left -= known[candidate]
            if left < 0 and found:
                break
            found.append(candidate)
        return tuple(found), 0

    def slice(self, start: int, count: int) -> list[Candidate]:
        """So many networks from the one of this number on; fewer where there aren't as many."""
        found = []
        for number in range(start, min(start + count, MOST)):
            candidate = self._at(number)
            if candidate is None:
                break
            found.append(candidate)
        return found

    def _at(self, number: int) -> Candidate | None:
        while len(self._drawn) <= number:
            candidate = next(self._stream, None)
            if candidate is None:
                return None
            self._drawn.append(candidate)
        return self._drawn[number]
