"""Dominance, ranks, crowding and the front, against moocore, pymoo and the definition."""

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from strategies.core.front import Front
from strategies.core.pareto import crowding_distances, domination_ranks
from strategies.core.protocol import Trial
from strategies.core.selection import crowded_places, fittest, survivors, tournament

rough = st.integers(0, 5).map(float)  # ties are frequent
points = st.integers(1, 3).flatmap(
    lambda m: st.lists(st.tuples(*[rough] * m), min_size=1, max_size=40)
)


def trials_of(losses):
    return [Trial(n, (n,), {}, tuple(row)) for n, row in enumerate(np.asarray(losses))]


@settings(deadline=None)
@given(points)
def test_the_front_is_what_nothing_dominates_and_the_first_of_equals(losses):
    front = Front(len(losses[0]))
    for trial in trials_of(losses):
        front.add(trial)
    array = np.array(losses)
    wanted = [
        number
        for number, point in enumerate(array)
        if not ((array <= point).all(axis=1) & (array < point).any(axis=1)).any()
        and not (array[:number] == point).all(axis=1).any()
    ]
    assert [trial.number for trial in front.trials] == wanted
    if array.shape[1] > 1:
        assert wanted == list(np.flatnonzero(moocore.is_nondominated(array, keep_weakly=False)))


@settings(deadline=None)
@given(points)
def test_ranks_agree_with_pymoo(losses):
    array = np.array(losses)
    fronts = NonDominatedSorting().do(array)
    ranks = domination_ranks(array)
    for rank, members in enumerate(fronts):
        assert set(np.flatnonzero(ranks == rank)) == set(members)


@pytest.mark.parametrize("objectives", [2, 3])
def test_crowding_agrees_with_pymoo(objectives):
    losses = np.random.default_rng(0).random((50, objectives)) * [1, 100, 1e8][:objectives]
    theirs = calc_crowding_distance(losses) * objectives  # theirs is a mean over objectives
    np.testing.assert_allclose(crowding_distances(losses), theirs)


def test_crowding_of_few_or_equal_points():
    assert np.isinf(crowding_distances(np.array([[1.0, 2.0]]))).all()
    assert np.isinf(crowding_distances(np.array([[1.0, 2.0], [2.0, 1.0]]))).all()
    equal = crowding_distances(np.ones((4, 2)))
    assert sorted(equal) == [0, 0, np.inf, np.inf]


def test_places_are_by_front_then_by_crowding():
    losses = np.array([[0, 4], [1, 3], [1.2, 2.8], [4, 0], [5, 5], [5, 5]], dtype=float)
    # Half perimeters in the first front: infinite, 0.6, 1.5, infinite.
    assert list(crowded_places(losses)) == [0, 2, 1, 0, 3, 3]


@settings(deadline=None)
@given(points)
def test_no_survivor_is_in_a_later_front_than_one_left_out(losses):
    array = np.array(losses)
    trials, count = trials_of(losses), (len(losses) + 1) // 2
    best, places = survivors(trials, count)
    ranks = domination_ranks(array)
    out = set(range(len(trials))) - {trial.number for trial in best}
    assert len(best) == count
    assert list(places) == sorted(places)
    assert max(ranks[trial.number] for trial in best) <= min((ranks[n] for n in out), default=99)


@settings(deadline=None)
@given(st.lists(st.tuples(rough), min_size=1, max_size=30))
def test_with_one_objective_the_fittest_is_the_first_of_the_best(losses):
    assert fittest(trials_of(losses)).number == losses.index(min(losses))


def test_a_tournament_favours_the_better_by_its_size():
    trials = trials_of([[float(n)] for n in range(10)])
    places = np.arange(10)
    rng = np.random.default_rng(0)
    means = [
        np.mean([tournament(trials, places, rng, size).number for _ in range(2000)])
        for size in (1, 2, 5)
    ]
    # The expected least of k draws from 0..9.
    expected = [sum(((10 - n) / 10) ** k for n in range(1, 10)) for k in (1, 2, 5)]
    assert means == pytest.approx(expected, abs=0.2)
