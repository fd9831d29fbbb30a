"""Rank correlations and their bootstrap intervals, against scipy and against known populations."""

import math

import numpy as np
import pytest
from scipy import stats

from senet_nas.analysis.rank_correlation import partial_rho, rank_correlations

RNG = np.random.default_rng(0)
OUTCOME = RNG.normal(size=40).round(1)  # rounded: with ties
SCORES = {
    "close": OUTCOME + RNG.normal(scale=0.3, size=40),
    "far": (OUTCOME + RNG.normal(scale=2.0, size=40)).round(),
    "none": RNG.normal(size=40),
}


def test_the_values_are_scipys():
    for name, found in rank_correlations(SCORES, OUTCOME).items():
        tau = stats.kendalltau(SCORES[name], OUTCOME).statistic
        rho = stats.spearmanr(SCORES[name], OUTCOME).statistic
        assert found.tau == pytest.approx(tau)
        assert found.rho == pytest.approx(rho)


def test_the_intervals_are_scipys_percentile_bootstrap():
    def tau(x, y):
        return stats.kendalltau(x, y).statistic

    def rho(x, y):
        return stats.spearmanr(x, y).statistic

    found = rank_correlations(SCORES, OUTCOME, seed=1)["far"]
    for statistic, interval in ((tau, found.tau_interval), (rho, found.rho_interval)):
        expected = stats.bootstrap(
            (SCORES["far"], OUTCOME),
            statistic,
            paired=True,
            vectorized=False,
            n_resamples=1000,
            method="percentile",
        ).confidence_interval
        assert interval == pytest.approx(tuple(expected), abs=0.06)


def test_more_values_narrow_the_interval():
    def width(count):
        rng = np.random.default_rng(3)
        outcome = rng.normal(size=count)
        scores = {"score": outcome + rng.normal(size=count)}
        low, high = rank_correlations(scores, outcome)["score"].tau_interval
        return high - low

    assert width(160) < 0.7 * width(40)


def test_a_score_is_compared_with_the_strongest_null():
    found = rank_correlations(SCORES, OUTCOME, nulls=("far", "none"))
    assert found["close"].beats_nulls > 0.99
    assert found["far"].beats_nulls is None
    against_better = rank_correlations(SCORES, OUTCOME, nulls=("close",))
    assert against_better["far"].beats_nulls < 0.01
    assert rank_correlations(SCORES, OUTCOME)["far"].beats_nulls is None


def test_the_seed_fixes_the_intervals():
    assert rank_correlations(SCORES, OUTCOME, seed=4) == rank_correlations(SCORES, OUTCOME, seed=4)
    assert rank_correlations(SCORES, OUTCOME, seed=4) != rank_correlations(SCORES, OUTCOME, seed=5)


def test_an_infinite_score_counts_by_its_rank():
    scores = {"infinite": [-math.inf, 0.0, 1.0, 2.0], "finite": [-9.0, 0.0, 1.0, 2.0]}
    found = rank_correlations(scores, [1.0, 3.0, 2.0, 4.0])
    assert found["infinite"] == found["finite"]
    assert found["finite"].tau == pytest.approx(2 / 3)


def test_what_cannot_be_ranked_has_no_correlation():
    constant = rank_correlations({"score": [1.0] * 5}, [1.0, 2.0, 3.0, 4.0, 5.0])["score"]
    assert (constant.tau, constant.rho, constant.tau_interval) == (None, None, None)
    assert rank_correlations({"score": [1.0, 2.0]}, [1.0, 2.0])["score"].tau is None


def test_a_partial_rho_is_that_of_the_ranks_inverse_correlations():
    columns = [SCORES["close"], OUTCOME, SCORES["far"]]
    inverse = np.linalg.inv(stats.spearmanr(np.array(columns).T).statistic)
    expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert partial_rho(*columns) == pytest.approx(expected)


def test_a_score_says_nothing_beyond_what_it_repeats():
    rng = np.random.default_rng(5)
    macs = rng.normal(size=1000)
    outcome = macs + rng.normal(size=1000)
    repeats, sees = macs + rng.normal(size=1000), outcome + rng.normal(size=1000)
    assert rank_correlations({"score": repeats}, outcome)["score"].tau > 0.25
    assert abs(partial_rho(repeats, outcome, macs)) < 0.1
    assert partial_rho(sees, outcome, macs) > 0.4
    assert partial_rho(macs * 2, outcome, macs) is None
    assert partial_rho([1.0] * 1000, outcome, macs) is None
    assert partial_rho([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]) is None
