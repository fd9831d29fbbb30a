"""The steps that tell one evolutionary strategy from the other."""

import numpy as np
import pytest

from search_space.problems import epistatic
from strategies import Objectives, Trial
from strategies.nsga2 import Strategy as Nsga2
from strategies.regularized_evolution import Strategy as RegularizedEvolution

PROBLEM = epistatic()
ONE = Objectives({"accuracy": "max"})


def trials(losses):
    rng = np.random.default_rng(9)
    return [Trial(n, PROBLEM.space.sample(rng), {}, (loss,)) for n, loss in enumerate(losses)]


def changes(first, second):
    return sum(a != b for a, b in zip(first, second, strict=True))


def test_the_fittest_alive_has_a_child_with_one_change():
    strategy = RegularizedEvolution(PROBLEM.space, ONE, population_size=5, sample_size=200)
    told = trials([3.0, 0.0, 2.0, 1.0, 4.0])
    for trial in told:
        strategy.learn(trial)
    for seed in range(20):
        child = strategy.propose(np.random.default_rng(seed))
        assert child.parents == (told[1].candidate,)
        assert changes(child.candidate, told[1].candidate) == 1


def test_the_oldest_dies_however_fit():
    strategy = RegularizedEvolution(PROBLEM.space, ONE, population_size=5, sample_size=200)
    told = trials([3.0, 0.0, 2.0, 1.0, 4.0, 9.0, 9.0])
    for trial in told:
        strategy.learn(trial)
    child = strategy.propose(np.random.default_rng(0)).candidate
    assert changes(child, told[3].candidate) == 1


def test_parents_change_only_when_a_generation_is_complete():
    strategy = Nsga2(PROBLEM.space, ONE, population_size=4, crossover_probability=0, mutations=0)
    told = trials([5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0])
    for trial in told[:7]:
        strategy.learn(trial)
    children = [strategy.propose(np.random.default_rng(seed)).candidate for seed in range(50)]
    assert all(min(changes(child, t.candidate) for t in told[:4]) == 1 for child in children)
    strategy.learn(told[7])
    children = [strategy.propose(np.random.default_rng(seed)).candidate for seed in range(50)]
    assert all(min(changes(child, t.candidate) for t in told[4:]) == 1 for child in children)


def test_parents_survive_better_children():
    strategy = Nsga2(PROBLEM.space, ONE, population_size=2, crossover_probability=0, mutations=0)
    told = trials([0.0, 1.0, 8.0, 9.0])
    for trial in told:
        strategy.learn(trial)
    child = strategy.propose(np.random.default_rng(0)).candidate
    assert min(changes(child, t.candidate) for t in told[:2]) == 1


def test_crossover_without_mutation_mixes_two_parents():
    strategy = Nsga2(PROBLEM.space, ONE, population_size=2, crossover_probability=1, mutations=0)
    first, second = (trial.candidate for trial in trials([0.0, 0.0]))
    for trial in trials([0.0, 0.0]):
        strategy.learn(trial)
    mixed = 0
    for seed in range(40):
        made = strategy.propose(np.random.default_rng(seed))
        assert set(made.parents) <= {first, second}
        child = made.candidate
        foreign = sum(
            gene not in pair
            for gene, pair in zip(child, zip(first, second, strict=True), strict=True)
        )
        mixed += changes(child, first) > 1 and changes(child, second) > 1
        assert foreign <= 1
    assert mixed > 10


@pytest.mark.parametrize("mean", [1.0, 3.0])
def test_mutations_have_the_mean_that_was_set(mean):
    strategy = Nsga2(PROBLEM.space, ONE, population_size=2, crossover_probability=0, mutations=mean)
    twin = trials([0.0])[0]
    strategy.learn(twin)
    strategy.learn(twin)
    counts = [
        changes(strategy.propose(np.random.default_rng(seed)).candidate, twin.candidate)
        for seed in range(400)
    ]
    unchanged = (1 - mean / 20) ** 20  # these change one more
    assert np.mean(counts) == pytest.approx(mean + unchanged, rel=0.12)
