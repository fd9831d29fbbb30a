"""Spaces as NNI's, and its strategies on plain functions. Skipped where NNI isn't installed."""

import numpy as np
import pytest
import torch

from search_space import Decision, InputError, SearchSpace, load, space_names
from senet_nas import cost

pytest.importorskip("nni", reason="NNI is an extra")
pytest.importorskip("pytorch_lightning", reason="nni.nas needs it")

from nni.mutable import Categorical
from nni.nas.space import RawFormatModelSpace, SimplifiedModelSpace

from senet_nas.search.nni_adapter import (
    NAMES,
    candidate_from_sample,
    model_space,
    nni_strategy,
    sample_from_candidate,
    to_mutables,
)

IN_A_MINUTE = ("random", "regularized_evolution", "tpe")
PLAIN = SearchSpace.from_choices({f"d{number}": [0, 1, 2, 3] for number in range(12)})
CONDITIONAL = SearchSpace(
    "conditional",
    (
        Decision("depth", (1, 2, 3)),
        Decision("first", ("a", "b")),
        Decision("second", ("a", "b"), when={"depth": (2, 3)}),
        Decision("third", ("a", "b"), when={"depth": (3,)}),
    ),
)


def distance(choices):
    """Best, 0, where every decision takes its third option."""
    return -float(sum((value - 2) ** 2 for value in choices.values()))


@pytest.mark.parametrize("name", space_names())
def test_a_space_survives_the_way_there_and_back(name):
    space, mutables = load(name), to_mutables(load(name))
    assert list(mutables.simplify()) == [decision.name for decision in space.decisions]
    assert all(isinstance(mutable, Categorical) for mutable in mutables.simplify().values())
    for seed in range(20):
        candidate = space.sample(np.random.default_rng(seed))
        sample = sample_from_candidate(space, candidate)
        assert mutables.contains(sample)
        assert candidate_from_sample(space, sample) == candidate
        drawn = {}
        mutables.random(drawn, np.random.RandomState(seed))
        there = candidate_from_sample(space, drawn)
        assert there == space.normalise(there)
        assert set(space.choices(there)) <= set(drawn)


def test_decisions_that_do_not_count_are_normalised():
    words = {"depth": "1", "first": "b", "second": "b", "third": "b"}
    assert candidate_from_sample(CONDITIONAL, words) == (0, 1, 0, 0)
    assert CONDITIONAL.choices((0, 1, 0, 0)) == {"depth": 1, "first": "b"}


def test_options_of_one_name_stay_apart():
    space = SearchSpace.from_choices({"odd": [None, "none", 1, True, "1"]})
    samples = [sample_from_candidate(space, (number,)) for number in range(5)]
    assert len({sample["odd"] for sample in samples}) == 5
    assert [candidate_from_sample(space, sample) for sample in samples] == [(n,) for n in range(5)]


def test_weights_are_the_probabilities_that_nni_draws_by():
    space = SearchSpace("weighted", (Decision("se", (None, 1, 2), weights=(2, 1, 1)),))
    assert to_mutables(space).simplify()["se"].weights == [0.5, 0.25, 0.25]
    names = [
        choices["se"]
        for seed in range(10)
        for candidate, _ in nni_strategy("random", space, lambda c: 0.0, seed, 1)
        for choices in [space.choices(candidate)]
    ]
    assert None in names


@pytest.mark.parametrize("sample", [{}, {"depth": "4"}])
def test_a_sample_of_another_space_is_refused(sample):
    with pytest.raises(InputError, match="sample: depth"):
        candidate_from_sample(CONDITIONAL, sample)


@pytest.mark.parametrize("name", IN_A_MINUTE)
def test_a_strategy_evaluates_its_budget_and_the_seed_fixes_it(name):
    found = nni_strategy(name, PLAIN, distance, 3, 120)
    assert len(found) == len({candidate for candidate, _ in found}) == 120
    assert all(score == distance(PLAIN.choices(candidate)) for candidate, score in found)
    assert nni_strategy(name, PLAIN, distance, 3, 120) == found
    assert nni_strategy(name, PLAIN, distance, 4, 120) != found


@pytest.mark.parametrize("name", ["regularized_evolution", "tpe"])
def test_a_strategy_that_learns_beats_nnis_random(name):
    settings = {"population_size": 20, "sample_size": 5} if name != "tpe" else {}

    def best(name, **settings):
        runs = [nni_strategy(name, PLAIN, distance, seed, 150, **settings) for seed in range(5)]
        return np.mean([max(score for _, score in run) for run in runs])

    assert best(name, **settings) > best("random")


@pytest.mark.parametrize("name", ["random", "regularized_evolution", "tpe", "grid_search"])
def test_conditions_never_cost_an_evaluation_twice_and_a_small_space_ends(name):
    asked = []
    found = nni_strategy(name, CONDITIONAL, lambda c: asked.append(c) or 0.0, 0, 50)
    assert len(asked) == len(found) == CONDITIONAL.size()


def test_global_generators_are_left_as_they_were():
    torch.manual_seed(0)
    np.random.seed(0)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    nni_strategy("regularized_evolution", PLAIN, distance, 1, 30)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def test_reinforcement_learning_runs_where_tianshou_does():
    pytest.importorskip("tianshou", reason="NNI's policy_based_rl needs it")
    found = nni_strategy("policy_based_rl", CONDITIONAL, lambda c: float(c["depth"]), 0, 6)
    assert len(found) == 6
    assert nni_strategy("policy_based_rl", CONDITIONAL, lambda c: float(c["depth"]), 0, 6) == found


def test_strategies_print_nothing(capfd):
    nni_strategy("regularized_evolution", PLAIN, distance, 0, 30)
    assert capfd.readouterr().out == ""


def test_a_name_and_budget_are_checked():
    with pytest.raises(InputError, match="NNI strategy 'evolution' is not known"):
        nni_strategy("evolution", PLAIN, distance, 0, 10)
    with pytest.raises(InputError, match="budget"):
        nni_strategy(NAMES[0], PLAIN, distance, 0, 0)


@pytest.mark.parametrize("name", ["cifar_tiny", "cifar_mobile"])
@pytest.mark.parametrize("format_class", [RawFormatModelSpace, SimplifiedModelSpace])
def test_a_model_space_freezes_to_the_network_of_a_candidate(name, format_class):
    space = load(name)
    exported = format_class.from_model(model_space(space, 10))
    assert len(exported.simplify()) == len(space.decisions)
    candidate = space.sample(np.random.default_rng(5))
    network = exported.freeze(sample_from_candidate(space, candidate)).executable_model()
    counted = cost(space.build(candidate), 32, 10)
    assert sum(p.numel() for p in network.parameters()) == counted.params
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
