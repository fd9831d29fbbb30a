"""What is told reaches Optuna's samplers, as if they had proposed it."""

import builtins

import numpy as np
import pytest

from search_space import InputError, SearchSpace
from search_space.problems import epistatic
from strategies import Objectives, Trial, make_strategy
from strategies.optuna_sampler import Strategy

PROBLEM = epistatic(decisions=6, options=3)


def told(sampler, count, loss):
    strategy = Strategy(PROBLEM.space, Objectives({"accuracy": "max"}), sampler=sampler)
    rng = np.random.default_rng(0)
    trials = [Trial(n, c, {}, (loss(c),)) for n, c in enumerate(draws(rng, count))]
    for trial in trials:
        strategy.learn(trial)
    return strategy


def draws(rng, count):
    return [PROBLEM.space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize(("sampler", "share"), [("TPESampler", 0.8), ("NSGAIISampler", 0.5)])
def test_proposals_follow_what_is_good(sampler, share):
    """NSGA-II's default population is 50: after 150 trials its parents are of two generations."""
    strategy = told(sampler, 150, lambda candidate: float(sum(x != 2 for x in candidate)))
    proposed = [strategy.propose(np.random.default_rng(seed)) for seed in range(40)]
    assert np.mean(np.array(proposed) == 2) > share
    assert len(set(proposed)) > 1


def test_a_random_sampler_learns_nothing():
    strategy = told("RandomSampler", 150, lambda candidate: float(sum(candidate)))
    proposed = [strategy.propose(np.random.default_rng(seed)) for seed in range(100)]
    assert np.mean(proposed) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("sampler", ["TPESampler", "NSGAIISampler", "NSGAIIISampler"])
def test_asking_in_between_changes_nothing(sampler):
    def run(asks):
        strategy = make_strategy(
            "optuna_sampler", PROBLEM.space, PROBLEM.objectives, sampler=sampler
        )
        for candidate in dict.fromkeys(draws(np.random.default_rng(1), 120)):
            strategy.tell(candidate, PROBLEM.score(candidate))
            if asks:
                strategy._proposer.propose(np.random.default_rng(5))
        return strategy.ask()

    assert run(asks=True) == run(asks=False)


def test_a_space_that_brute_force_has_tried_is_at_its_end():
    space = SearchSpace.from_choices({"kernel": [3, 5], "depth": [1, 2, 3]})
    strategy = make_strategy(
        "optuna_sampler", space, {"accuracy": "max"}, sampler="BruteForceSampler"
    )
    found = []
    while (candidate := strategy.ask()) is not None:
        found.append(candidate)
        strategy.tell(candidate, {"accuracy": float(sum(candidate))})
    assert len(set(found)) == space.size() == len(strategy.trials)
    assert strategy.exhausted


def test_a_sampler_of_one_objective_refuses_two():
    strategy = make_strategy(
        "optuna_sampler", PROBLEM.space, PROBLEM.objectives, sampler="CmaEsSampler"
    )
    with pytest.raises(InputError, match=r"CmaEsSampler: .*multi-objective"):
        strategy.ask()


def test_without_optuna_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'senet-nas\[optuna\]'"):
        make_strategy("optuna_sampler", PROBLEM.space, {"accuracy": "max"})
