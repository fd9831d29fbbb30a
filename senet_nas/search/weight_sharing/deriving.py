"""From probabilities of options to one network of the cost that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from search_space import Candidate, InputError, SearchSpace
from search_space.errors import RunError
from senet_nas.search.weight_sharing.extremes import extreme

TOLERANCE = 0.03  # of the target
_NEAR = 1 + 0.95 * TOLERANCE  # the largest ratio of cost and target that is aimed at
_STARTS = 12
_STEEP = 1e4

Value = Callable[[Candidate], float]


def check_target(space: SearchSpace, value: Value, target: float, axis: str) -> None:
    """Raise `InputError` with the range of costs that the space can reach where the target isn't
    in it, and where no network within 3% of it is found."""
    least, most = (value(extreme(space, value, sign)) for sign in (-1, 1))
    of = f"supernet.targets: networks of {space.name!r} have {least:.4g} to {most:.4g} {axis}"
    if not least / _NEAR <= target <= most * _NEAR:
        raise InputError(f"{of}, so none has {target:.4g}")
    logs = [np.zeros(len(decision.options)) for decision in space.decisions]
    climb, rng = _Climb(space, logs, value, target), np.random.default_rng(0)
    ends = []
    for _ in range(_STARTS):
        ends.append(climb.from_(_drawn(space, logs, rng), rng))
        if climb.excess(ends[-1]) == 0:
            return
    nearest = value(min(ends, key=climb.excess))
    raise InputError(
        f"{of}, and none within {100 * TOLERANCE:.0f}% of {target:.4g} was found: the nearest has "
        f"{nearest:.4g}"
    )


def derived(
    space: SearchSpace,
    probabilities: Sequence[Sequence[float]],
    value: Value | None = None,
    target: float | None = None,
    seed: int = 0,
) -> Candidate:
    """The likeliest candidate found whose cost is within 3% of the target; the likeliest of all
    where there is none. value: the cost of a candidate.

    By climbing from the likeliest one and from candidates drawn by the probabilities, one and two
    decisions at a time. Raises `RunError` where no candidate of that cost was found.
    """
    logs = [np.log(np.maximum(np.asarray(p, dtype=float), 1e-12)) for p in probabilities]
    likeliest = space.normalise([int(one.argmax()) for one in logs])
    if value is None or target is None:
        return likeliest
    climb = _Climb(space, logs, value, target)
    rng = np.random.default_rng([seed, 3])
    starts = [likeliest, *(_drawn(space, logs, rng) for _ in range(_STARTS - 1))]
    ends = [climb.from_(start, rng) for start in starts]
    within = [end for end in ends if climb.excess(end) == 0]
    if not within:
        nearest = min(ends, key=climb.excess)
        raise RunError(
            f"no network within {100 * TOLERANCE:.0f}% of {target:.4g} was found; the nearest has "
            f"{value(nearest):.4g}"
        )
    return max(within, key=climb.likelihood)


class _Climb:
    """Steps to likelier candidates, and first to those of the cost that is wanted."""

    def __init__(
        self, space: SearchSpace, logs: Sequence[np.ndarray], value: Value, target: float
    ) -> None:
        self.space, self.logs, self.value, self.target = space, logs, value, target

    def excess(self, candidate: Candidate) -> float:
        """How far the logarithm of the cost is outside of what is allowed; 0 within."""
        distance = abs(math.log(self.value(candidate) / self.target))
        return max(0.0, distance - math.log(_NEAR))

    def likelihood(self, candidate: Candidate) -> float:
        """The logarithm of the probability of the likeliest draw that gives it."""
        drawn = self._drawn(candidate)
        return float(sum(log[number] for log, number in zip(self.logs, drawn, strict=True)))

    def _drawn(self, candidate: Candidate) -> list[int]:
        """Its option numbers, with decisions that don't count in it at their likeliest."""
        return [
            number if self.space.is_active(candidate, position) else int(log.argmax())
            for position, (log, number) in enumerate(zip(self.logs, candidate, strict=True))
        ]

    def _score(self, candidate: Candidate) -> float:
        return self.likelihood(candidate) - _STEEP * self.excess(candidate)

    def from_(self, start: Candidate, rng: np.random.Generator) -> Candidate:
        """The end of a climb."""
        best, most = start, self._score(start)
        while True:
            before = most
            for position in rng.permutation(len(self.logs)):
                for changed in self._changes(best, int(position)):
                    if (score := self._score(changed)) > most:
                        best, most = changed, score
            if most == before:
                best, most = self._in_pairs(best, most, rng)
            if most == before:
                return best

    def _in_pairs(
        self, best: Candidate, most: float, rng: np.random.Generator
    ) -> tuple[Candidate, float]:
        """Two decisions at once: one to a likelier option, another to make up for its cost; any two
        where the cost isn't the one wanted yet."""
        order, is_within = rng.permutation(len(self.logs)), self.excess(best) == 0
        for position in order:
            for first in self._changes(best, int(position), 3):
                if is_within and self.likelihood(first) <= self.likelihood(best):
                    continue
                for other in order:
                    for changed in self._changes(first, int(other), 3):
                        if (score := self._score(changed)) > most:
                            return changed, score
        return best, most

    def _changes(self, candidate: Candidate, position: int, most: int = 8) -> list[Candidate]:
        """The candidate with another option of one decision, the likeliest ones; what that switches
        on stands at its likeliest too."""
        drawn = self._drawn(candidate)
        options = np.argsort(-self.logs[position])[:most]
        found = [
            self.space.normalise([*drawn[:position], int(o), *drawn[position + 1 :]])
            for o in options
            if o != candidate[position]
        ]
        return [changed for changed in found if changed != candidate]


def _drawn(space: SearchSpace, logs: Sequence[np.ndarray], rng: np.random.Generator) -> Candidate:
    numbers = [int(rng.choice(len(log), p=np.exp(log) / np.exp(log).sum())) for log in logs]
    return space.normalise(numbers)
