"""Children that inherit a parent's weights: the function kept where the space says that it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from search_space import SE, Architecture, Block, Head, Stage, load
from search_space.inheritance import preserves
from senet_nas.nn import build_network
from senet_nas.nn.inherit import inherit

X = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES = 5


def trained(architecture, seed=0):
    """A network with weights and statistics as training leaves them: none at its initial value."""
    torch.manual_seed(seed)
    network = build_network(architecture, CLASSES, 16).double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
            if isinstance(module, nn.Linear):
                module.weight.mul_(3)
    return network.eval()


def child_of(parent_network, architecture, seed=1):
    torch.manual_seed(seed)
    child = build_network(architecture, CLASSES, 16).double()
    return inherit(child, parent_network.architecture, parent_network.state_dict()).eval()


def difference(parent_network, child):
    with torch.no_grad():
        wanted, found = parent_network(X), child(X)
    return float((wanted - found).abs().max() / wanted.abs().max())


def network(*blocks, stem=8, **head):
    first = Block("conv", stem)
    return Architecture(Stage((first,)), (Stage(blocks),), Head(**head))


BASIC = Block("basic", 12, 2)
NEXT = Block("basic", 12)
MOBILE = Block("inverted_residual", 12, 2, expansion=2, activation="hard_swish")
MOBILE_NEXT = replace(MOBILE, stride=1)
BOTTLENECK = Block("bottleneck", 16, 2, expansion=0.5)

CELLS = {"basic": BASIC, "inverted_residual": MOBILE, "bottleneck": BOTTLENECK}
PRESERVING = {
    "wider": lambda b: [replace(b, channels=b.channels + 4)],
    "wider inside": lambda b: [replace(b, expansion=b.expansion * 2)],
    "a larger kernel": lambda b: [replace(b, kernel=5)],
    "deeper": lambda b: [b, replace(b, stride=1)],
    "deeper with SE": lambda b: [b, replace(b, stride=1, se=SE(4))],
    "SE": lambda b: [replace(b, se=SE(4))],
    "SE after the 3x3": lambda b: [replace(b, se=SE(4, "conv3x3", "max", "hard_sigmoid"))],
    "SE before": lambda b: [replace(b, se=SE(2, "pre", bias=False))],
    "SE by tanh": lambda b: [replace(b, se=SE(4, excitation="tanh"))],
    "SE by relu": lambda b: [replace(b, se=SE(4, "conv3x3", "none", "relu"))],
    "neutral SE after the sum": lambda b: [replace(b, se=SE(4, "post", neutral=True))],
    "all at once": lambda b: [
        replace(b, channels=b.channels + 8, kernel=5, expansion=2 * b.expansion, se=SE(2)),
        replace(b, channels=b.channels + 8, stride=1, se=SE(4, "conv3x3")),
    ],
}


@pytest.mark.parametrize("mutation", PRESERVING)
@pytest.mark.parametrize("cell", CELLS)
def test_a_preserving_mutation_computes_what_the_parent_does(cell, mutation):
    block = CELLS[cell]
    last = Block("conv", 24, kernel=1)
    parent = network(block, blocks=(last,))
    child = network(*PRESERVING[mutation](block), blocks=(last,))
    assert child != parent
    assert preserves(child, parent)
    old = trained(parent)
    new = child_of(old, child)
    assert difference(old, new) < 1e-6
    assert difference(old, trained(child)) > 1e-2  # the child's own weights do not


def test_se_with_a_wider_hidden_layer_and_more_to_read():
    parent = network(replace(BASIC, se=SE(8, "conv3x3")), hidden=7)
    child = network(replace(BASIC, channels=20, se=SE(2, "conv3x3")), stem=12, hidden=7)
    assert preserves(child, parent)
    old = trained(parent)
    assert difference(old, child_of(old, child)) < 1e-6


@pytest.mark.parametrize("name", ["cifar_tiny", "cifar_mobile", "cifar_residual"])
def test_mutations_of_a_space_that_it_says_preserve_do(name):
    """And where it doesn't say so, the child still inherits, and computes something else."""
    space, rng = load(name), np.random.default_rng(0)
    kept = tried = 0
    while kept < 8 and tried < 150:
        parent = space.sample(rng)
        child = space.mutate(parent, rng)
        tried += 1
        if space.key(parent) == space.key(child):
            continue
        if not preserves(space.build(child), space.build(parent)):
            continue
        kept += 1
        old = trained(space.build(parent), seed=tried)
        assert difference(old, child_of(old, space.build(child))) < 1e-6
    assert kept == 8


NOT_PRESERVING = {
    "narrower": lambda b: [replace(b, channels=8)],
    "a smaller kernel": lambda b: [replace(b, kernel=1)],
    "another activation": lambda b: [replace(b, activation="silu")],
    "another stride": lambda b: [replace(b, stride=1)],
    "SE after the sum": lambda b: [replace(b, se=SE(4, "post"))],
    "another cell": lambda b: [Block("bottleneck", 12, 2)],
}


@pytest.mark.parametrize("mutation", NOT_PRESERVING)
def test_other_mutations_inherit_what_fits(mutation):
    parent, child = network(BASIC), network(*NOT_PRESERVING[mutation](BASIC))
    assert not preserves(child, parent)
    old = trained(parent)
    new = child_of(old, child)
    assert 1e-4 < difference(old, new) < float("inf")
    assert new.stem.state_dict()["0.head.0.weight"].equal(old.stem.state_dict()["0.head.0.weight"])


def test_se_taken_away_is_not_preserved_but_inherited():
    parent = network(replace(MOBILE, se=SE(4)), MOBILE_NEXT)
    child = network(MOBILE, MOBILE_NEXT)
    assert not preserves(child, parent)
    old = trained(parent)
    assert difference(old, child_of(old, child)) < difference(old, trained(child, seed=3))


def test_everything_of_a_child_learns():
    """No parameter that the parent lacks is stuck where it starts."""
    parent = network(BASIC, NEXT)
    child = network(
        replace(BASIC, channels=16, kernel=5, se=SE(2)),
        replace(NEXT, channels=16, se=SE(2, "conv3x3")),
        replace(NEXT, channels=16, se=SE(2, "pre")),
    )
    new = child_of(trained(parent), child).train()
    optimiser = torch.optim.SGD(new.parameters(), lr=0.1)
    before = {name: p.detach().clone() for name, p in new.named_parameters()}
    for _ in range(3):  # what stands behind a layer of zero moves once that has
        optimiser.zero_grad()
        nn.functional.cross_entropy(new(X), torch.tensor([0, 1, 2])).backward()
        optimiser.step()
    still = [name for name, p in new.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_the_same_architecture_inherits_everything():
    old = trained(network(replace(BASIC, se=SE(4)), MOBILE_NEXT))
    new = child_of(old, old.architecture)
    assert all(new.state_dict()[n].equal(t) for n, t in old.state_dict().items())
