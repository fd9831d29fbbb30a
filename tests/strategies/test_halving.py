"""Successive halving over several objectives: who is promoted, by definition and at a distance."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.core.halving import Rungs
from strategies.core.pareto import domination_ranks
from strategies.core.ranking import Ranking, epsilon_net


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


def fronts(losses):
    """Each point's front by the definition: peel off what nothing left dominates."""
    left, ranks = set(range(len(losses))), {}
    while left:
        best = {i for i in left if not any(dominates(losses[j], losses[i]) for j in left)}
        ranks |= dict.fromkeys(best, max(ranks.values(), default=-1) + 1)
        left -= best
    return ranks


def ranked(losses):
    ranking = Ranking(len(losses[0]))
    for point in losses:
        ranking.add(point)
    return ranking


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


@given(points)
@settings(max_examples=60, deadline=None)
def test_no_trial_stands_before_one_that_dominates_it(losses):
    order = ranked(losses).order()
    ranks = fronts(losses)
    assert sorted(order) == list(range(len(losses)))
    assert [ranks[i] for i in order] == sorted(ranks.values())


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_fronts_kept_up_to_date_are_those_of_a_sort_of_all(objectives):
    rng = np.random.default_rng(objectives)
    losses = np.round(rng.random((400, objectives)), 1 if objectives > 1 else 2)
    ranking = Ranking(objectives)
    for count, point in enumerate(losses, start=1):
        ranking.add(point.tolist())
        if count % 40 == 0:
            so_far = losses[:count]
            ranks = domination_ranks(so_far)
            assert [ranking.rank(number) for number in range(count)] == ranks.tolist()
            for rank in range(ranks.max() + 1):
                members = np.flatnonzero(ranks == rank)
                assert ranking.front(rank) == members[epsilon_net(so_far[members])].tolist()


def test_thousands_of_trials_are_ranked_in_seconds():
    rng = np.random.default_rng(0)
    rungs = Rungs(3, 3, 50)
    started = time.process_time()
    for trial, point in enumerate(rng.normal(size=(3000, 2)).tolist()):
        rungs.enter(trial, 0, point)
        while (due := rungs.next()) is not None:
            rungs.promote(due[0])
            rungs.enter(*due, [x + 1 for x in point])
    assert time.process_time() - started < 15  # some 1.5 s


def test_any_first_ones_of_a_front_cover_it():
    """A front of 101 points, most of them crowded at one end."""
    x = np.concatenate([np.linspace(0, 0.1, 90), np.linspace(0.2, 1, 11)])
    front = np.stack([x, 1 - x], axis=1)
    for scale in (1.0, 1e6):  # MACs beside percent
        order = epsilon_net(front * [1.0, scale])
        for count in (3, 5, 9):
            chosen = x[order[:count]]
            furthest = np.abs(x[:, None] - chosen[None]).min(axis=1).max()
            assert furthest <= 1.0 / (count - 1) + 1e-9
        assert order[0] == 0  # the best by the first objective


def test_one_in_three_goes_on_and_of_one_objective_the_best_by_then():
    """arXiv 1810.05934, algorithm 2, with the delay of arXiv 2201.06834."""
    rungs, losses, promoted = Rungs(2, 3, 50), {}, []
    rng = np.random.default_rng(0)
    for trial, loss in enumerate(rng.permutation(60).tolist()):
        losses[trial] = loss
        rungs.enter(trial, 0, [loss])
        while (due := rungs.next()) is not None:
            top = sorted(losses, key=losses.get)[: len(losses) // 3]
            assert due == (next(t for t in top if t not in promoted), 1)
            promoted.append(due[0])
            rungs.promote(due[0])
        assert len(promoted) <= len(losses) // 3
    assert len(promoted) >= 18
    assert np.mean([losses[t] for t in promoted]) < 15


def test_the_highest_rung_goes_first():
    rungs = Rungs(3, 2, 50)
    for trial, loss in enumerate([4, 3, 2, 1]):
        rungs.enter(trial, 0, [loss])
    for trial in (3, 2):
        assert rungs.next() == (trial, 1)
        rungs.promote(trial)
        rungs.enter(trial, 1, [trial])
    for trial, loss in [(4, 9), (5, 0)]:
        rungs.enter(trial, 0, [loss])
    assert rungs.next() == (2, 2)
    rungs.promote(2)
    assert rungs.next() == (5, 1)
    rungs.give_up(5)
    assert rungs.next() == (1, 1)


def test_failed_and_last_trials_wait_for_nothing():
    rungs = Rungs(2, 2, 50)
    rungs.enter(0, 0, ())
    rungs.enter(1, 0, [1.0])
    assert (rungs.paused, rungs.next()) == ({1: 0}, None)
    rungs.enter(2, 0, [0.0])
    assert rungs.next() == (2, 1)
    rungs.promote(2)
    rungs.enter(2, 1, [0.0])
    assert (rungs.paused, rungs.next()) == ({1: 0}, None)


@pytest.mark.parametrize("waiting", [1, 5])
def test_what_waits_is_bounded_and_the_best_is_kept(waiting):
    rungs = Rungs(3, 3, waiting)
    rng = np.random.default_rng(1)
    for trial in range(200):
        rungs.enter(trial, 0, rng.random(2).tolist())
        while (due := rungs.next()) is not None:
            rungs.promote(due[0])
            rungs.enter(*due, rng.random(2).tolist())
        assert list(rungs.paused.values()).count(0) <= waiting + 1
        assert list(rungs.paused.values()).count(1) <= waiting + 1


def test_promotions_follow_from_what_was_entered():
    """One worker, killed at every step: the record makes a new `Rungs` that is the old one, and
    what was under way is due again."""
    rungs, entered, trials = Rungs(3, 2, 4), [], 0
    rng = np.random.default_rng(2)
    for _ in range(120):
        again = Rungs(3, 2, 4)
        for step in entered:
            again.enter(*step)
        due = rungs.next()
        assert (again.paused, again.next()) == (rungs.paused, due)
        if due is None:
            due = trials, 0
            trials += 1
        else:
            rungs.promote(due[0])
        entered.append((*due, rng.random(2).tolist() if len(entered) % 7 else ()))
        rungs.enter(*entered[-1])
    assert {rung for _, rung, _ in entered} == {0, 1, 2}
