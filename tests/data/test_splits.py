import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_space import InputError
from senet_nas.data import training_subset, validation_split

LABELS = st.lists(st.integers(0, 6), min_size=2, max_size=120).map(torch.tensor)
FRACTIONS = st.floats(0.01, 0.99)


@given(LABELS, FRACTIONS, st.integers(0, 5))
def test_a_split_parts_all_images_and_keeps_each_class_in_training(labels, fraction, seed):
    train, val = validation_split(labels, fraction, seed)
    assert sorted(train.tolist() + val.tolist()) == list(range(len(labels)))
    assert train.tolist() == sorted(train.tolist()) and len(val) >= 1 and len(train) >= 1
    if labels.bincount().max() > 1:
        assert set(labels[train].tolist()) == set(labels.tolist())


@given(LABELS, FRACTIONS, st.integers(0, 5))
def test_each_class_gives_its_share_to_within_one_image(labels, fraction, seed):
    _, val = validation_split(labels, fraction, seed)
    if labels.bincount().max() == 1:
        return
    for label, size in enumerate(labels.bincount().tolist()):
        share = min(size * fraction, max(0, size - 1))
        assert abs((labels[val] == label).sum() - share) < 1 + 1e-6


def test_shares_are_exact_where_they_can_be():
    labels = torch.arange(4000) % 10
    train, val = validation_split(labels, 0.1, seed=0)
    assert labels[val].bincount().tolist() == [40] * 10 and len(train) == 3600


def test_the_seed_decides():
    labels = torch.arange(1000) % 10
    first, again, other = (validation_split(labels, 0.2, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_one_image_a_class_is_split_from_all_alike():
    train, val = validation_split(torch.arange(200), 0.25, seed=0)
    assert (len(train), len(val)) == (150, 50)


@given(LABELS, st.floats(0.01, 1.0), st.integers(0, 5))
def test_a_subset_holds_every_class_in_proportion(labels, fraction, seed):
    chosen = training_subset(labels, fraction, seed)
    assert len(set(chosen.tolist())) == len(chosen)
    assert set(labels[chosen].tolist()) == set(labels.tolist())
    for label, size in enumerate(labels.bincount().tolist()):
        if size:
            share = max(1, size * fraction)
            assert abs((labels[chosen] == label).sum() - share) < 1 + 1e-6


def test_the_whole_is_a_subset():
    assert training_subset(torch.arange(50) % 3, 1.0, 0).tolist() == list(range(50))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fractions_out_of_range(fraction):
    with pytest.raises(InputError, match="fraction"):
        validation_split(torch.arange(10) % 2, fraction, 0)
    if fraction != 1:
        with pytest.raises(InputError, match="fraction"):
            training_subset(torch.arange(10), fraction, 0)


@pytest.mark.parametrize("seed", [-1, 10**20, 1.5, True])
def test_seeds_out_of_range(seed):
    labels = torch.arange(10) % 2
    for split in (validation_split, training_subset):
        with pytest.raises(InputError, match=r"seed must be between 0 and 2\*\*63-1, not"):
            split(labels, 0.5, seed)
