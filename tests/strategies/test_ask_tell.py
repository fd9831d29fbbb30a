"""Ask and tell, where it doesn't depend on the strategy."""

from dataclasses import replace

import numpy as np
import pytest
from measures import run

from search_space import Decision, InputError, SearchSpace, load
from search_space.problems import epistatic
from strategies import make_strategy

PROBLEM = epistatic()
OBJECTIVES = {"accuracy": "max", "macs": "min"}
SPACE = SearchSpace(
    "small", (Decision("se", (False, True)), Decision("r", (4, 8, 16), when={"se": [True]}))
)
LARGE = SearchSpace.from_choices({f"d{number}": range(4) for number in range(9)})


def strategy(**arguments):
    return make_strategy("random_search", PROBLEM.space, OBJECTIVES, **arguments)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"accuracy": 70.0}, "lack the objective 'macs'.*given: accuracy"),
        ({"accuracy": float("nan"), "macs": 1}, "'accuracy' must be a finite number, not nan"),
        ({"accuracy": 70.0, "macs": float("inf")}, "'macs' must be a finite number, not inf"),
        ({"accuracy": "70", "macs": 1}, "'accuracy' must be a finite number, not '70'"),
        ({"accuracy": True, "macs": 1}, "'accuracy' must be a finite number, not True"),
    ],
)
def test_scores_that_say_nothing_are_refused_and_change_nothing(scores, message):
    asks = strategy()
    candidate = asks.ask()
    with pytest.raises(InputError, match=message):
        asks.tell(candidate, scores)
    assert asks.pending == (candidate,)
    assert asks.trials == ()
    asks.tell(candidate, {"accuracy": np.float32(70), "macs": np.int64(3)})
    assert asks.number == 1


def test_a_trial_is_drawn_by_seed_and_number():
    asks = strategy(seed=7)
    for number in range(5):
        drawn = PROBLEM.space.sample(np.random.default_rng([7, number]))
        assert asks.number == number
        assert asks.ask() == drawn


def test_nothing_is_told_twice():
    asks = strategy()
    candidate = asks.ask()
    asks.tell(candidate, None)
    with pytest.raises(InputError, match="was told before, as trial 0"):
        asks.tell(candidate, {"accuracy": 70.0, "macs": 1.0})


def test_a_candidate_of_another_space_is_refused():
    with pytest.raises(InputError, match="has 20 decisions, not 2"):
        strategy().tell((0, 1), None)


def test_what_was_never_asked_is_taken_in_normalised():
    asks = make_strategy("random_search", SPACE, {"accuracy": "max"})
    asks.tell([0, 2], {"accuracy": 70.0})
    assert asks.trials[0].candidate == (0, 0)
    assert {asks.ask() for _ in range(3)} == {(1, 0), (1, 1), (1, 2)}


def test_known_objectives_are_filled_in_and_other_scores_kept():
    asks = strategy(known={"macs": sum})
    candidate = asks.ask()
    asks.tell(candidate, {"accuracy": 70.0, "train_seconds": 3})
    kept = {"accuracy": 70.0, "train_seconds": 3, "macs": sum(candidate)}
    assert asks.front() == [(candidate, kept)]
    measured = asks.ask()
    asks.tell(measured, {"accuracy": 90.0, "macs": 0.5})
    assert asks.front() == [(measured, {"accuracy": 90.0, "macs": 0.5})]


def test_what_is_given_out_can_not_change_the_record():
    asks = strategy()
    scores = {"accuracy": 70.0, "macs": 1.0}
    asks.tell(asks.ask(), scores)
    scores["accuracy"] = 0.0
    asks.front()[0][1]["accuracy"] = 0.0
    assert asks.trials[0].scores["accuracy"] == 70.0


def test_known_scores_are_computed_once_a_candidate():
    calls = []

    def macs(candidate):
        calls.append(candidate)
        return float(sum(candidate))

    asks = make_strategy(
        "nsga2", SPACE, {"macs": "min"}, known={"macs": macs}, limits={"macs": 2}, population_size=2
    )
    assert len(run(asks, lambda _: {}, 10)) == 3
    assert len(calls) == len(set(calls)) <= 4


def test_limits_that_nothing_meets_end_the_search():
    for space in (SPACE, PROBLEM.space):
        asks = make_strategy(
            "random_search", space, {"a": "max"}, known={"macs": sum}, limits={"macs": -1}
        )
        assert asks.ask() is None
        assert asks.exhausted


def test_a_rare_corner_of_a_large_space_is_found():
    asks = strategy(known={"macs": sum}, limits={"macs": 6})  # one sample in millions
    assert len(run(asks, PROBLEM.score, 50)) == 50


def test_in_a_large_space_a_search_ends_only_where_nothing_is_pending():
    asks = make_strategy("random_search", LARGE, {"a": "max"}, known={"m": sum}, limits={"m": 0})
    only = asks.ask()
    assert only == (0,) * 9
    assert asks.ask() is None
    assert not asks.exhausted
    asks.tell(only, {"a": 1.0})
    assert asks.ask() is None
    assert asks.exhausted


def test_where_all_scores_are_equal_nothing_is_given_twice():
    asks = make_strategy("nsga2", LARGE, OBJECTIVES, population_size=4)
    asked = run(asks, lambda _: {"accuracy": 1.0, "macs": 1.0}, 300)
    assert len(set(asked)) == 300
    assert [candidate for candidate, _ in asks.front()] == asked[:1]


def test_twins_in_an_older_record_are_taken_in_and_no_third_is_proposed():
    calls = []

    def identify(choices):
        calls.append(choices)
        return choices["r"] // 16, choices["kernel"]

    choices = {"r": [2, 4, 16, 17], "kernel": [3, 5]}
    space = replace(SearchSpace.from_choices(choices), identify=identify)
    asks = make_strategy("random_search", space, {"accuracy": "max"})
    asks.tell((0, 0), {"accuracy": 1.0})
    asks.tell((1, 0), {"accuracy": 2.0})
    rest = run(asks, lambda _: None, 10)
    assert len(asks.trials) == 5
    assert len(rest) == len({space.key(candidate) for candidate in rest}) == 3
    assert not {space.key(candidate) for candidate in rest} & {space.key((0, 0))}
    with pytest.raises(InputError, match="was told before, as trial 1"):
        asks.tell((1, 0), None)
    assert len(calls) <= 8 + 7  # once a candidate, and those above


def test_a_space_of_networks_never_proposes_one_twice():
    space = load("imagenet_mobile")
    asks = make_strategy("regularized_evolution", space, OBJECTIVES, population_size=2)
    asked = run(asks, lambda _: {"accuracy": 1.0, "macs": 1.0}, 150)
    assert len({space.key(candidate) for candidate in asked}) == 150


def test_given_candidates_come_first_and_replay():
    rng = np.random.default_rng(0)
    given = [PROBLEM.space.sample(rng) for _ in range(3)]
    asks = strategy(first=[given[0], given[1], given[0], given[2]])
    assert [asks.ask() for _ in range(3)] == given
    later = asks.ask()
    again = strategy(first=given)
    for candidate in given:
        again.tell(candidate, {"accuracy": 1.0, "macs": 1.0})
    assert again.ask() == later


def test_a_given_candidate_outside_of_the_limits_is_left_out():
    rng = np.random.default_rng(0)
    given = [PROBLEM.space.sample(rng) for _ in range(2)]
    known = {"size": lambda candidate: float(candidate == given[0])}
    asks = strategy(first=given, known=known, limits={"size": 0.5})
    assert asks.ask() == given[1]
