"""Rank correlations of several scores with one outcome, and what resampling says of them:
Kendall's tau-b (Kendall 1945, "The treatment of ties in ranking problems") and Spearman's rho, with
percentile bootstrap intervals (Efron & Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 1000
LEAST = 3  # pairs of values that can be ranked at all
_ROUNDING = 1e-12

Values = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class RankCorrelation:
    """tau, rho: from -1 to 1, None where one side has no two different values. tau_interval,
    rho_interval: 95%. beats_nulls: share of resamples in which tau is above that of every null
    model; None for a null model and where there are none."""

    tau: float | None
    tau_interval: Interval | None
    rho: float | None
    rho_interval: Interval | None
    beats_nulls: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def rank_correlations(
    scores: Mapping[str, Sequence[float]],
    outcome: Sequence[float],
    nulls: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, RankCorrelation]:
    """Each score's correlation with the outcome; all are resampled alike, so that they can be
    compared. nulls: those of the scores that any other has to beat.

    Infinite scores count by their rank. At least `LEAST` values are needed, else all is None.
    """
    outcomes = np.asarray(outcome, dtype=np.float64)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    if len(outcomes) < LEAST:
        return dict.fromkeys(columns, RankCorrelation(None, None, None, None))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(outcomes), size=(RESAMPLES, len(outcomes)))
    taus = {name: _resampled_taus(values, outcomes, drawn) for name, values in columns.items()}
    rhos = {name: _resampled_rhos(values, outcomes, drawn) for name, values in columns.items()}
    null_taus = np.array([taus[name] for name in nulls])
    whole = np.arange(len(outcomes))[None, :]
    found = {}
    for name, values in columns.items():
        is_compared = bool(nulls) and name not in nulls
        found[name] = RankCorrelation(
            _number(_resampled_taus(values, outcomes, whole)[0]),
            _interval(taus[name]),
            _number(_resampled_rhos(values, outcomes, whole)[0]),
            _interval(rhos[name]),
            float((taus[name] > null_taus).all(0).mean()) if is_compared else None,
        )
    return found


def partial_rho(
    score: Sequence[float], outcome: Sequence[float], given: Sequence[float]
) -> float | None:
    """Spearman's rho between what a third ranking leaves of a score and of an outcome: Yule's
    partial correlation (Yule 1907, Proc. R. Soc. A 79) of their ranks. Near 0 where the score
    follows the outcome only as far as the third does, which Kendall's partial tau is not. None
    where one of the three has no two different values, and where the third ranks as either of the
    others does.
    """
    if len(outcome) < LEAST:
        return None
    columns = [np.asarray(values, dtype=np.float64) for values in (score, outcome, given)]
    whole = np.arange(len(outcome))[None, :]
    both, of_score, of_outcome = (
        float(_resampled_rhos(columns[a], columns[b], whole)[0])
        for a, b in ((0, 1), (0, 2), (1, 2))
    )
    left = (1 - of_score**2) * (1 - of_outcome**2)
    if not left > _ROUNDING:
        return None
    return (both - of_score * of_outcome) / float(np.sqrt(left))


def _resampled_taus(x: Values, y: Values, drawn: NDArray[np.int64]) -> Values:
    """tau-b of each row of indices: concordant less discordant pairs, over the geometric mean of
    the pairs that each side doesn't tie. A row is used by how often it draws each index."""
    counts = np.zeros((len(drawn), len(x)))
    for row, indices in enumerate(drawn):
        counts[row] = np.bincount(indices, minlength=len(x))
    above_x = (x[:, None] > x).astype(float) - (x[:, None] < x)  # infinities compare, not subtract
    above_y = np.sign(y[:, None] - y)

    def pairs(of: Values) -> Values:
        return np.asarray(((counts @ of) * counts).sum(1))

    with np.errstate(invalid="ignore", divide="ignore"):
        untied = np.sqrt(pairs(np.abs(above_x)) * pairs(np.abs(above_y)))
        return np.asarray(pairs(above_x * above_y) / untied)


def _resampled_rhos(x: Values, y: Values, drawn: NDArray[np.int64]) -> Values:
    """Spearman's rho of each row of indices: Pearson's correlation of mid-ranks."""
    from scipy.stats import rankdata

    ranks = [rankdata(values[drawn], axis=1) for values in (x, y)]
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1)))


def _interval(resampled: Values) -> Interval | None:
    defined = resampled[np.isfinite(resampled)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
