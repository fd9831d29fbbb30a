"""Choosing among candidates before training, in the loop of a strategy that draws several."""

import numpy as np
import pytest
import torch

from search_space import InputError, SearchSpace, load
from senet_nas import cost
from senet_nas.data import ImageSet
from senet_nas.proxies import Chooser, proxy_batch, proxy_chooser, proxy_names, proxy_score
from strategies import make_strategy

SPACE = SearchSpace.from_choices({"width": list(range(10)), "quality": list(range(10))})


def width(candidate):
    return float(candidate[0])


def proxy(candidate):
    """Rises with the width, as real ones do, and tells quality within a width."""
    return 10.0 * candidate[0] + candidate[1]


def searching(chooser, seed=0):
    """A random search that draws as many candidates as the chooser wants."""
    goals = {"accuracy": "max"}
    return make_strategy("random_search", SPACE, goals, seed, draws=chooser.draws, prefer=chooser)


def asked(strategy, count):
    return [strategy.ask() for _ in range(count)]


def test_without_costs_the_highest_score_is_taken():
    chooser = Chooser(4, proxy)
    assert chooser([(3, 1), (7, 2), (7, 9), (1, 9)]) == (7, 9)


def test_with_costs_the_first_that_none_beats_is_taken():
    chooser = Chooser(3, proxy, (width,))
    assert chooser([(3, 1), (3, 2), (9, 9)]) == (3, 2)
    assert chooser([(3, 1), (9, 9), (1, 0)]) == (3, 1)
    assert chooser([(5, 5), (5, 5)]) == (5, 5)


def test_costs_keep_the_cheap_end_and_raise_quality():
    def mean_of(chooser):
        firsts = [searching(chooser, seed).ask() for seed in range(400)]
        return np.mean(firsts, axis=0)

    unfiltered = mean_of(Chooser(1, proxy, (width,)))
    filtered = mean_of(Chooser(8, lambda c: float(c[1]), (width,)))
    greedy = mean_of(Chooser(8, proxy))
    assert greedy[0] > unfiltered[0] + 3  # wide networks alone
    assert filtered[0] <= unfiltered[0]
    assert filtered[1] > unfiltered[1] + 1


def test_a_search_that_is_resumed_chooses_what_it_would_have_chosen():
    whole, resumed = searching(Chooser(3, proxy)), searching(Chooser(3, proxy))
    given = asked(whole, 10)
    for candidate in given[:6]:
        resumed.tell(candidate, {"accuracy": 1.0})
    assert asked(resumed, 4) == given[6:]


def test_what_is_chosen_from_is_free_and_distinct():
    seen = []

    def prefer(candidates):
        seen.append(candidates)
        return candidates[0]

    goals = {"accuracy": "max"}
    strategy = make_strategy("random_search", SPACE, goals, draws=4, prefer=prefer)
    taken = set()
    for _ in range(40):
        candidate = strategy.ask()
        assert len(set(seen[-1])) == len(seen[-1]) == 4
        assert not taken & set(seen[-1])
        taken.add(candidate)
    assert None not in asked(strategy, 60)
    assert len(seen[-1]) == 1  # fewer are left at the end
    assert strategy.ask() is None


def test_several_draws_need_a_preference():
    with pytest.raises(InputError, match="of 3 draws one must be preferred"):
        make_strategy("random_search", SPACE, {"accuracy": "max"}, draws=3)


@pytest.fixture(scope="module")
def image_set():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(12) % 3, ("a", "b", "c"))


@pytest.fixture(scope="module")
def batch(image_set):
    return proxy_batch(image_set, count=8, mean=image_set.mean(), std=image_set.std())


def test_a_batch_is_normalised_and_drawn_by_its_seed(image_set, batch):
    assert batch.images.shape == (8, 3, 32, 32)
    assert batch.images.dtype == torch.float32
    assert batch.num_classes == 3
    given = {"mean": image_set.mean(), "std": image_set.std()}
    whole = proxy_batch(image_set, count=100, **given)
    assert len(whole.labels) == 12
    assert whole.images.mean((0, 2, 3)).abs().max() < 1e-3
    assert (whole.images.std((0, 2, 3)) - 1).abs().max() < 1e-3
    assert torch.equal(proxy_batch(image_set, count=8, **given).images, batch.images)
    assert not torch.equal(proxy_batch(image_set, count=8, seed=1, **given).images, batch.images)


def test_a_batch_is_never_too_small_for_a_proxy(image_set):
    given = {"mean": image_set.mean(), "std": image_set.std()}
    least = proxy_batch(image_set, count=4, **given)
    network = load("cifar_tiny").build(load("cifar_tiny").sample(np.random.default_rng(0)))
    for name in proxy_names():  # at a side of 8 pixels the last map is a single one
        small = least.images[..., :8, :8]
        assert np.isfinite(proxy_score(name, network, small, least.labels, 3))
    with pytest.raises(InputError, match="at least 4, not 3"):
        proxy_batch(image_set, count=3, **given)
    with pytest.raises(InputError, match="at least 4 images, not 3"):
        proxy_batch(image_set.subset(torch.arange(3)), **given)


def test_a_proxy_by_name_chooses_by_its_score_and_the_costs_among_the_objectives(batch):
    space = load("cifar_tiny")
    macs = {c: float(cost(space.build(c), 32, 3).macs) for c in _some(space)}
    known = {"macs": macs.__getitem__}
    chooser = proxy_chooser("synflow", 0.5, space, batch)
    score = {c: proxy_score("synflow", space.build(c), *batch) for c in macs}
    assert chooser.draws == 2
    assert chooser(list(macs)) == max(macs, key=score.__getitem__)
    aware = proxy_chooser(
        "synflow",
        0.25,
        space,
        batch,
        known=known,
        objectives={"accuracy": "max", "macs": "min"},
    )
    chosen = aware(list(macs))
    assert aware.draws == 4
    assert not any(score[c] >= score[chosen] and macs[c] < macs[chosen] for c in macs)


def _some(space):
    return list(dict.fromkeys(space.sample(np.random.default_rng(n)) for n in range(6)))


@pytest.mark.parametrize("keep", [0, -1, 1.5, True])
def test_a_share_out_of_range_is_refused(batch, keep):
    with pytest.raises(InputError, match=r"filter\.keep must be"):
        proxy_chooser("zico", keep, load("cifar_tiny"), batch)


def test_an_unknown_proxy_is_refused_before_anything_is_drawn(batch):
    with pytest.raises(InputError, match="proxy 'core' is not known"):
        proxy_chooser("core", 0.5, load("cifar_tiny"), batch)
