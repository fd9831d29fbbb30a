"""How much a candidate whose losses are uncertain is expected to improve a front.

All losses are to be minimised and independent normal numbers given their means and deviations.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from strategies.core.pareto import Losses

DIRECTIONS = 48
DRAWS = 8


def expected_improvement(means: Losses, deviations: Losses, front: Losses, worst: Losses) -> Losses:
    """The expected gain of hypervolume below `worst`; with one objective, of the least loss.

    One and two objectives exactly (Jones et al. 1998; Emmerich et al. 2005, "Hypervolume-based
    expected improvement", as sums over the front's strips), three and more by
    hypervolume scalarisation (Golovin and Zhang 2020, arXiv 2006.04655) over fixed directions.
    front: non-dominated losses, in any order.
    """
    objectives = means.shape[1]
    if objectives == 1:
        return _below(front[:1, 0], means[:, 0], deviations[:, 0])[:, 0]
    if objectives == 2:
        return _two_objectives(means, deviations, front, worst)
    return _scalarised(means, deviations, front, worst)


def _below(levels: Losses, mean: Losses, deviation: Losses) -> Losses:
    """E[max(0, level - y)] for each y and level."""
    difference = levels - mean[:, None]
    scaled = difference / deviation[:, None]
    density = np.exp(-0.5 * np.square(scaled)) / np.sqrt(2 * np.pi)
    return np.asarray(difference * ndtr(scaled) + deviation[:, None] * density)


def _two_objectives(means: Losses, deviations: Losses, front: Losses, worst: Losses) -> Losses:
    front = front[(front < worst).all(axis=1)]
    front = front[np.argsort(front[:, 0])]
    rights = np.concatenate([front[:, 0], worst[:1]])
    heights = np.concatenate([worst[1:], front[:, 1]])
    lengths = np.diff(_below(rights, means[:, 0], deviations[:, 0]), prepend=0.0, axis=1)
    return np.asarray((lengths * _below(heights, means[:, 1], deviations[:, 1])).sum(axis=1))


def _scalarised(means: Losses, deviations: Losses, front: Losses, worst: Losses) -> Losses:
    objectives = means.shape[1]
    rng = np.random.default_rng(0)
    directions = np.abs(rng.normal(size=(DIRECTIONS, objectives)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    best = np.array([_lengths(front, worst, d).max(initial=0.0) for d in directions])
    gain = np.zeros(len(means))
    for draw in rng.normal(size=(DRAWS, objectives)):
        losses = means + deviations * draw
        for direction, level in zip(directions, best, strict=True):
            gain += np.maximum(0, _lengths(losses, worst, direction) - level)
    return gain


def _lengths(losses: Losses, worst: Losses, direction: Losses) -> Losses:
    """How far a ray from `worst` stays within what a point dominates, to the power of volume."""
    shares = np.maximum(0, ((worst - losses) / direction).min(axis=1))
    return np.asarray(shares ** losses.shape[1])
