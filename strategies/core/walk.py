"""A bounded random walk to a free candidate, for where a strategy's proposals are all taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search_space.space import Candidate, SearchSpace


def walk_to_free(
    space: SearchSpace,
    start: Candidate,
    rng: np.random.Generator,
    excess: Callable[[Candidate], float],
    is_taken: Callable[[Candidate], bool],
    steps: int,
) -> Candidate | None:
    """The first candidate on a walk of single mutations that is within limits and not taken.

    excess: how far a candidate is outside of the limits; a step never leads further outside, so
    a walk that starts outside comes down to them. None where `steps` didn't suffice.
    """
    place, outside = start, excess(start)
    for _ in range(steps):
        step = space.mutate(place, rng)
        step_outside = excess(step)
        if step_outside == 0 and not is_taken(step):
            return step
        if step_outside <= outside:
            place, outside = step, step_outside
    return None
