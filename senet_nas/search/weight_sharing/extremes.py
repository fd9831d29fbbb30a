"""The cheapest and the costliest network of a space, by its costs alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from search_space import Candidate, SearchSpace

FEW = 8  # options; decisions with more are settled last, since each new block is costed once
_ROUNDS = 20


def extreme(space: SearchSpace, value: Callable[[Candidate], float], sign: int) -> Candidate:
    """The candidate of the largest (sign 1) or smallest (sign -1) value: each decision's best
    option in turn, until nothing changes. Exact where the parts of a candidate add up, as costs
    nearly do."""
    found = space.sample(np.random.default_rng(0))
    few = [n for n, decision in enumerate(space.decisions) if len(decision.options) <= FEW]
    found = _climbed(space, found, value, sign, few)
    return _climbed(space, found, value, sign, range(len(space.decisions)))


def _climbed(
    space: SearchSpace,
    candidate: Candidate,
    value: Callable[[Candidate], float],
    sign: int,
    positions: Sequence[int],
) -> Candidate:
    best, most = candidate, sign * value(candidate)
    for _ in range(_ROUNDS):
        before = best
        for position in positions:
            for number in range(len(space.decisions[position].options)):
                changed = space.normalise([*best[:position], number, *best[position + 1 :]])
                if changed != best and (v := sign * value(changed)) > most:
                    best, most = changed, v
        if best == before:
            break
    return best
