"""Every space that is found by name: what it builds, and how it is drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space import (
    Architecture,
    InputError,
    load,
    published,
    published_names,
    space_names,
    structural_hash,
)
from senet_nas import build_network

SPACES = space_names()


def test_the_first_spaces_are_there():
    assert {"cifar_mobile", "cifar_residual", "imagenet_mobile", "imagenet_residual"} <= set(SPACES)


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_candidates_build_and_survive_json(name, seed):
    space = load(name)
    rng = np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    for candidate in (first, space.mutate(first, rng), space.crossover(first, second, rng)):
        architecture = space.build(candidate)
        assert Architecture.from_json(architecture.to_json()) == architecture
        assert space.candidate(space.choices(candidate)) == candidate
        assert space.normalise(candidate) == candidate


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_neighbours_are_other_architectures(name, seed):
    space = load(name)
    rng = np.random.default_rng(seed)
    candidate = space.sample(rng)
    neighbours = space.neighbours(candidate)
    neighbours = [neighbours[index] for index in rng.permutation(len(neighbours))[:200]]
    hashes = {structural_hash(space.build(c)) for c in [candidate, *neighbours]}
    assert len(hashes) == len(neighbours) + 1


@pytest.mark.parametrize("name", SPACES)
def test_random_networks_run(name):
    space = load(name)
    size = 32 if name.startswith("cifar") else 64
    for seed in range(3):
        architecture = space.build(space.sample(np.random.default_rng(seed)))
        with torch.device("meta"):
            network = build_network(architecture, 10, size)
            assert network(torch.empty(2, 3, size, size)).shape == (2, 10)


@pytest.mark.parametrize("name", SPACES)
def test_se_is_absent_half_of_the_time(name):
    space = load(name)
    rng = np.random.default_rng(0)
    blocks = [
        block
        for _ in range(100)
        for stage in space.build(space.sample(rng)).stages
        for block in stage.blocks
    ]
    share = np.mean([block.se is None for block in blocks])
    assert 0.4 < share < 0.6


def test_unknown_names_are_said_with_what_is_allowed():
    with pytest.raises(InputError, match="space 'cifar_mobil' is not known; did you mean 'cifar_m"):
        load("cifar_mobil")
    with pytest.raises(InputError, match="network 'se_resnet51' is not known; did you mean"):
        published("se_resnet51")


def test_published_networks_differ_and_survive_json():
    built = {name: published(name) for name in published_names()}
    different = set(built.values())  # RegNetX with SE and RegNetY are one network of two names
    assert len({structural_hash(a) for a in different}) == len(different) == len(built) - 2
    assert all(Architecture.from_json(a.to_json()) == a for a in built.values())
