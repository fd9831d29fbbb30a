"""The space of SE in one network."""

import numpy as np
import pytest

from search_space import SE, InputError, around, around_published, published
from search_space.se_options import se_values


def test_it_holds_the_network_and_its_twin():
    space = around_published("resnet18", {"r": [4, 16]})
    assert len(space) == 8
    assert space.size() == 3**8
    assert space.build(space.candidate({})) == published("resnet18")
    own = {decision.name: SE(r=16) for decision in space.decisions}
    assert space.build(space.candidate(own)) == published("se_resnet18")
    assert space.image_size == 224
    assert around_published("cifar_resnet20").image_size == 32


@pytest.mark.parametrize("name", ["se_mobilenet_v2", "se_resnext50_32x4d", "se_cifar_resnet20"])
def test_only_se_differs(name):
    network = published(name)
    space = around(network, {"squeeze": ["avg", "max"]})
    rng = np.random.default_rng(0)
    for _ in range(5):
        candidate = space.sample(rng)
        built = space.build(candidate)
        chosen = space.choices(candidate)
        for (path, block), (_, original) in zip(built.blocks(), network.blocks(), strict=True):
            assert block.se == chosen.get(path, original.se)
            assert (block.cell, block.channels) == (original.cell, original.channels)
        assert (built.head.hidden, built.norm_eps) == (network.head.hidden, network.norm_eps)


def test_options_lie_over_the_networks_own_se():
    own = SE(r=4, base="input", activation="silu", placement="conv3x3")
    values = se_values(own, {"r": [4, 8], "squeeze": "max", "bias": [True, True]})
    assert [(v.r, v.squeeze, v.base, v.activation) for v in values] == [
        (4.0, "max", "input", "silu"),
        (8.0, "max", "input", "silu"),
    ]
    assert se_values(own, {}) == (own,)


def test_equal_networks_are_known():
    space = around_published("cifar_resnet20", {"r": [16, 32], "placement": "post"})
    first = space.decisions[0]
    assert len({space.key(space.candidate({first.name: se})) for se in first.options}) == 2


def test_a_network_without_places_is_refused():
    with pytest.raises(InputError, match="no SE"):
        around(published("resnet18"))
