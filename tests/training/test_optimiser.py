"""Weight decay's groups against timm's, and that no optimiser forgets."""

import copy

import pytest
import torch
from timm.optim import create_optimizer_v2, param_groups_weight_decay
from torch import nn

from search_space import published
from senet_nas.nn import build_network
from senet_nas.training import Recipe, load_recipe
from senet_nas.training.optimiser import make_optimiser, optimiser_state, restore_optimiser


def names(network, optimiser, decayed):
    by_id = {id(p): name for name, p in network.named_parameters()}
    groups = optimiser if isinstance(optimiser, list) else optimiser.param_groups
    return {
        by_id[id(p)]
        for group in groups
        if bool(group["weight_decay"]) == decayed
        for p in group["params"]
    }


@pytest.mark.parametrize("name", ["se_cifar_resnet20", "mobilenet_v3_small"])
def test_what_decays_is_what_timm_decays(name):
    network = build_network(published(name), 10)
    theirs = param_groups_weight_decay(network, 0.1)
    ours = make_optimiser(network, Recipe(1, 2, 0.1, weight_decay=0.1))
    for decayed in (True, False):
        assert names(network, ours, decayed) == names(network, theirs, decayed) != set()


def test_what_is_spared_is_a_setting():
    network = build_network(published("se_cifar_resnet20"), 10)
    layers = [name for name, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    flat = {name for name, p in network.named_parameters() if p.ndim == 1}
    bias = {name for name in flat if name.rpartition(".")[0] in layers}
    norms = flat - bias
    for spared, expected in (((), set()), (("norms",), norms), (("biases",), bias)):
        recipe = Recipe(1, 2, 0.1, weight_decay=0.1, decay_spares=spared)
        assert names(network, make_optimiser(network, recipe), False) == expected


def tiny():
    torch.manual_seed(0)
    # No bias before the norm: its gradient is zero but for rounding, which Adam enlarges.
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5)
    )


def steps(network, optimiser, seeds):
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        loss = network(torch.rand(8, 3, 8, 8, generator=generator)).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


TIMMS = {
    "sgd": ("nesterov", {}),
    "rmsprop_tf": ("rmsproptf", {"alpha": 0.9}),
    "adamw": ("adamw", {"betas": (0.9, 0.98), "momentum": None}),
    "lamb": ("lamb", {"betas": (0.9, 0.98), "max_grad_norm": None}),
}


@pytest.mark.parametrize("name", TIMMS)
def test_a_step_is_that_of_timms_factory(name):
    timms, settings = TIMMS[name]
    squares = settings.get("alpha", 0.98)
    recipe = Recipe(
        1, 2, 0.01, optimiser=name, square_momentum=squares, epsilon=1e-3, weight_decay=0.1
    )
    ours, theirs = tiny(), tiny()
    settings = {"momentum": 0.9} | settings | ({} if name == "sgd" else {"eps": 1e-3})
    theirs_optimiser = create_optimizer_v2(theirs, opt=timms, lr=0.01, weight_decay=0.1, **settings)
    steps(ours, make_optimiser(ours, recipe), range(3))
    steps(theirs, theirs_optimiser, range(3))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "rmsprop_tf", "adamw", "lamb"])
def test_an_optimiser_that_is_restored_goes_on_as_if_it_had_not_stopped(name):
    recipe = Recipe(1, 2, 0.01, optimiser=name, epsilon=1e-4)
    whole = tiny()
    steps(whole, make_optimiser(whole, recipe), range(6))
    parted = tiny()
    optimiser = make_optimiser(parted, recipe)
    steps(parted, optimiser, range(3))
    kept = copy.deepcopy(optimiser_state(parted, optimiser))
    assert kept and all(isinstance(value, torch.Tensor) for value in kept.values())
    resumed = tiny()
    resumed.load_state_dict(parted.state_dict())
    again = make_optimiser(resumed, recipe)
    restore_optimiser(resumed, again, kept)
    steps(resumed, again, range(3, 6))
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    forgetful = tiny()
    forgetful.load_state_dict(parted.state_dict())
    steps(forgetful, make_optimiser(forgetful, recipe), range(3, 6))
    assert not torch.equal(forgetful[0].weight, whole[0].weight)


def test_the_recipes_take_the_optimisers_that_they_name():
    network = tiny()
    kinds = {
        name: type(make_optimiser(network, load_recipe(name))).__name__
        for name in ("senet2018", "rsb_a2", "mobilenetv3", "efficientnet")
    }
    assert list(kinds.values()) == ["SGD", "Lamb", "RMSpropTF", "RMSpropTF"]
