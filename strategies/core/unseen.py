"""The end of a small space: every candidate listed, and what is left of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

from search_space.space import Candidate, SearchSpace

LONG_GAP = 100  # taken candidates passed over in a row before the list is cleaned


def all_candidates(space: SearchSpace) -> Iterator[Candidate]:
    """Every candidate of a space once, in ascending order."""
    yield from _extended(space, [])


def _extended(space: SearchSpace, start: list[int]) -> Iterator[Candidate]:
    position = len(start)
    if position == len(space):
        yield tuple(start)
        return
    active = space.is_active(start, position)
    for number in range(len(space.decisions[position].options) if active else 1):
        yield from _extended(space, [*start, number])


class Unseen:
    """The candidates of a small space that are still free; once taken, always taken."""

    def __init__(self, space: SearchSpace, is_free: Callable[[Candidate], bool]) -> None:
        self._is_free = is_free
        self._left = [candidate for candidate in all_candidates(space) if is_free(candidate)]

    def first_from(self, start: Candidate) -> Candidate | None:
        """The first free candidate from `start` on, going round; None where none is left.

        What it gives depends on what is free only, never on what was asked before.
        """
        begin = bisect_left(self._left, start)
        for gap in range(len(self._left)):
            found = self._left[(begin + gap) % len(self._left)]
            if self._is_free(found):
                if gap > LONG_GAP:
                    self._left = [c for c in self._left if self._is_free(c)]
                return found
        self._left = []
        return None
