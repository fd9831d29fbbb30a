"""Strategies that are told scores at several rungs of training."""

import numpy as np
import pytest

from search_space import InputError
from search_space.problems import epistatic
from strategies import make_strategy, strategy_settings

PROBLEM = epistatic()
OBJECTIVES = PROBLEM.objectives
SMALL = {"population_size": 10, "sample_size": 4}
NSGA2 = {"population_size": 10}


def strategy(name="random_search", rungs=3, **settings):
    return make_strategy(name, PROBLEM.space, OBJECTIVES, rungs=rungs, **settings)


def scores(**changes):
    return dict.fromkeys(OBJECTIVES, 1.0) | changes


def test_a_candidate_is_told_again_at_a_higher_rung_only():
    asks = strategy()
    first, second = asks.ask(), asks.ask()
    asks.tell(first, scores(), 0)
    asks.tell(first, scores(), 2)
    for rung in (0, 1, 2):
        with pytest.raises(InputError, match="told before, as trial 0"):
            asks.tell(first, scores(), rung)
    asks.tell(second, None, 0)
    with pytest.raises(InputError, match="told before, as trial 1"):
        asks.tell(second, scores(), 1)
    with pytest.raises(InputError, match="rung must be below 3"):
        asks.tell(asks.ask(), scores(), 3)
    assert [(t.number, t.rung) for t in asks.trials] == [(0, 2), (1, 0)]
    assert asks.number == 3


def test_without_rungs_nothing_is_told_twice():
    asks = strategy(rungs=1)
    candidate = asks.ask()
    asks.tell(candidate, scores())
    with pytest.raises(InputError, match="rung must be below 1"):
        asks.tell(candidate, scores(), 1)


def test_what_fails_higher_up_keeps_what_it_had():
    asks = strategy()
    candidate = asks.ask()
    asks.tell(candidate, scores(), 0)
    asks.tell(candidate, None, 1)
    assert (asks.trials[0].rung, asks.trials[0].scores) == (0, scores())
    assert [c for c, _ in asks.front()] == [candidate]


def test_the_front_is_of_the_highest_rung():
    asks = strategy()
    best, other = asks.ask(), asks.ask()
    good = {"accuracy": 9.0, "macs": 0.0}
    asks.tell(best, good, 0)
    asks.tell(other, scores(), 0)
    asks.tell(other, scores(), 1)
    assert [c for c, _ in asks.front()] == [other]
    asks.tell(best, good, 1)
    assert best in [c for c, _ in asks.front()]


@pytest.mark.parametrize("name", ["regularized_evolution", "nsga2"])
def test_the_highest_rung_that_tells_enough_is_learned_from(name):
    """At the lower rung scores are turned round: who learned from them would get worse."""
    settings = {k: v for k, v in SMALL.items() if k in strategy_settings(name)}
    asks = make_strategy(name, PROBLEM.space, {"accuracy": "max"}, rungs=2, **settings)
    found = []
    for _ in range(200):
        candidate = asks.ask()
        found.append(PROBLEM.score(candidate)["accuracy"])
        asks.tell(candidate, {"accuracy": -found[-1]}, 0)
        asks.tell(candidate, {"accuracy": found[-1]}, 1)
    assert np.mean(found[-50:]) > np.max(found[:10])


def test_until_then_the_rung_below_is():
    asks = make_strategy("nsga2", PROBLEM.space, {"accuracy": "max"}, rungs=2, **NSGA2)
    found = []
    for _ in range(200):
        candidate = asks.ask()
        found.append(PROBLEM.score(candidate)["accuracy"])
        asks.tell(candidate, {"accuracy": found[-1]}, 0)
    assert np.mean(found[-50:]) > np.max(found[:10])


@pytest.mark.parametrize("cut", [1, 40, 90])
def test_a_record_of_rungs_makes_the_strategy_that_wrote_it(cut):
    def told(asks, lines):
        for line in lines:
            asks.tell(*line)

    asks, lines = strategy("nsga2", **NSGA2), []
    for trial in range(100):
        candidate = asks.ask()
        for rung in range(1 + (trial % 3 == 0) + (trial % 9 == 0)):
            line = candidate, PROBLEM.score(candidate), rung
            told(asks, [line])
            lines.append((*line, asks.number))
    begun = [line[:3] for line in lines if line[3] <= cut]
    again = strategy("nsga2", **NSGA2)
    told(again, begun)
    following = next(line for line in lines if line[3] == cut + 1)
    assert again.ask() == following[0]
