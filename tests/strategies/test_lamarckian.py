"""Lamarckian evolution: whose weights a candidate begins with, and whose are worth keeping."""

from measures import make

from search_space.problems import epistatic
from strategies.core.protocol import Inheriting

PROBLEM = epistatic()
P = 10


def strategy(trials):
    asks = make("lamarckian", PROBLEM, population_size=P, sample_size=4)
    for _ in range(trials):
        candidate = asks.ask()
        asks.tell(candidate, PROBLEM.score(candidate))
    return asks


def test_it_alone_inherits():
    assert isinstance(strategy(0).inheriting, Inheriting)
    assert make("nsga2", PROBLEM).inheriting is None


def test_the_first_population_has_no_parents():
    asks = strategy(P - 1)
    everything = {trial.candidate for trial in asks.trials}
    assert asks.inheriting.parent_of(asks.ask(), everything) is None


def test_the_living_and_the_front_are_worth_keeping():
    asks = strategy(100)
    wanted = {trial.candidate for trial in asks.trials[-P:]} | {c for c, _ in asks.front()}
    assert {trial.candidate for trial in asks.inheriting.heritable()} == wanted
    assert len(wanted) > P


def test_the_parent_is_the_most_similar_of_those_that_are_kept():
    asks = strategy(100)
    kept = {trial.candidate for trial in asks.inheriting.heritable()}

    def distance(one, other):
        return sum(a != b for a, b in zip(one, other, strict=True))

    for _ in range(20):
        child = asks.ask()
        parent = asks.inheriting.parent_of(child, kept)
        assert distance(parent.candidate, child) == min(distance(c, child) for c in kept)
        assert asks.inheriting.parent_of(child, kept - {parent.candidate}) != parent
    assert asks.inheriting.parent_of(child, ()) is None
