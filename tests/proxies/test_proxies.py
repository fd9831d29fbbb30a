"""Each proxy: values worked out by hand, and what holds of every one, found by name."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from search_space import SE, Architecture, Block, InputError, Retrofit, Stage, load, space_names
from search_space.values import EXCITATIONS, PLACEMENTS
from senet_nas.nn import build_network
from senet_nas.proxies import gradnorm, naswot, proxy_names, proxy_score, synflow, zico

ALL = ("gradnorm", "naswot", "synflow", "zico")
LABELS = torch.tensor([0, 1, 1, 0])


def images(side=16, count=4, seed=0):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def linear(weights, bias=None):
    weight = torch.tensor(weights, dtype=torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    return layer


def test_they_are_found_by_name():
    assert proxy_names() == list(ALL)


def test_synflow_of_a_linear_network_is_its_layers_times_its_flow():
    # |W1| (1, 1) = (3, 7); |W2| (3, 7) = 3 * 3 + 1 * 7 = 16; two layers.
    network = nn.Sequential(linear([[1, -2], [-3, 4]]), nn.ReLU(), linear([[3, -1]]))
    assert synflow.score(network, torch.zeros(1, 2), LABELS) == pytest.approx(math.log(2 * 16))


def test_synflow_conserves_its_flow_through_norms_and_every_activation():
    torch.manual_seed(0)
    for act in (nn.ReLU6(inplace=True), nn.Hardswish(inplace=True), nn.SiLU(), nn.ReLU()):
        first, last = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 5, 1, bias=False)
        network = nn.Sequential(first, nn.BatchNorm2d(8, eps=0), act, last)
        network[1].running_mean.fill_(7)  # as training would have left it
        flow = np.einsum("oihw->o", first.weight.detach().double().abs().numpy())
        flow = last.weight.detach().double().abs().numpy()[:, :, 0, 0] @ flow
        score = synflow.score(network, torch.zeros(1, 3, 3, 3), LABELS)
        assert score == pytest.approx(math.log(2 * flow.sum()))


def test_naswot_counts_the_units_on_which_images_agree():
    network = nn.Sequential(linear([[1, 0], [0, 1], [1, 1]]), nn.ReLU())
    batch = torch.tensor([[1.0, 1.0], [1.0, -2.0], [-1.0, 3.0]])
    # On: (1, 1, 1), (1, 0, 0), (0, 1, 1). Agreeing: 1 of 3, 2 of 3, none.
    kernel = np.array([[3, 1, 2], [1, 3, 0], [2, 0, 3]])
    expected = math.log(np.linalg.det(kernel))
    assert naswot.score(network, batch, LABELS[:3]) == pytest.approx(expected)


def test_naswot_of_images_that_switch_the_same_units_is_the_least():
    network = nn.Sequential(linear([[1, 0], [0, 1]]), nn.ReLU())
    assert naswot.score(network, torch.ones(2, 2), LABELS[:2]) == -math.inf


def test_naswot_needs_activations():
    with pytest.raises(InputError, match="naswot needs a network with activations"):
        naswot.score(linear([[1.0]]), torch.ones(2, 1), LABELS[:2])


def softmax_gradient(weight, batch, labels):
    """Of the mean cross-entropy by the weight of one linear layer: (p - y) x."""
    logits = batch @ weight.T
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1
    return shares.T @ batch / len(labels)


WEIGHT = np.array([[0.5, -1.0], [2.0, 0.25]])
POINTS = np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 3.0], [2.0, -2.0]])


def test_gradnorm_of_one_layer_is_the_norm_of_the_softmax_gradient():
    found = gradnorm.score(linear(WEIGHT.tolist()), torch.tensor(POINTS).float(), LABELS)
    assert found == pytest.approx(np.linalg.norm(softmax_gradient(WEIGHT, POINTS, LABELS.numpy())))


def test_zico_is_the_papers_formula_over_two_halves():
    labels = LABELS.numpy()
    halves = [
        np.abs(softmax_gradient(WEIGHT, POINTS[part], labels[part]))
        for part in (slice(0, 2), slice(2, 4))
    ]
    mean, deviation = np.mean(halves, axis=0), np.sqrt(np.var(halves, axis=0))
    expected = math.log((mean / deviation).sum())
    found = zico.score(linear(WEIGHT.tolist()), torch.tensor(POINTS).float(), LABELS)
    assert found == pytest.approx(expected, rel=1e-4)


def test_zico_leaves_out_layers_without_gradients():
    dead = nn.Sequential(linear([[0, 0], [0, 0]], bias=[-1, -1]), nn.ReLU(), linear([[1, 1]]))
    # One class: no loss, so no gradients at all.
    assert zico.score(dead, torch.tensor(POINTS).float(), torch.zeros(4, dtype=torch.long)) == 0


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "imagenet_residual" else ())
        for name in space_names()
    ],
)
def test_every_space_has_finite_scores(name):
    space = load(name)
    side = min(space.image_size, 64)
    architecture = space.build(space.sample(np.random.default_rng(1)))
    for proxy in ALL:
        assert math.isfinite(proxy_score(proxy, architecture, images(side), LABELS, 2))


@pytest.mark.parametrize("proxy", ALL)
def test_a_score_depends_on_the_seed_alone(proxy):
    space = load("cifar_mobile")
    architecture = space.build(space.sample(np.random.default_rng(1)))
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = proxy_score(proxy, architecture, images(32), LABELS, 2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    assert proxy_score(proxy, architecture, images(32), LABELS, 2) == first
    assert proxy_score(proxy, architecture, images(32), LABELS, 2, seed=5) != first


def with_se(se):
    blocks = tuple(Block("basic", 8, se=se) for _ in range(8))
    return Architecture(Stage((Block("conv", 8),)), (Stage(blocks),))


@pytest.mark.parametrize("proxy", ALL)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("excitation", EXCITATIONS)
def test_se_of_every_kind_is_scored(proxy, placement, excitation):
    for neutral in (False, True):
        se = SE(r=2, placement=placement, excitation=excitation, squeeze="max", neutral=neutral)
        assert math.isfinite(proxy_score(proxy, with_se(se), images(), LABELS, 2))


@pytest.mark.parametrize("proxy", ALL)
def test_a_retrofitted_network_is_scored(proxy):
    value = Retrofit("torchvision:mobilenet_v3_small", (("features.1", SE(r=4, neutral=True)),))
    assert math.isfinite(proxy_score(proxy, value, images(32), LABELS, 2))


@pytest.mark.parametrize("proxy", [gradnorm, naswot, synflow, zico])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_afterwards_what_it_was(proxy, training):
    network = build_network(with_se(SE(r=2)), 2, 16).train(training)
    network.stem.eval()
    network(images()).sum().backward()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = [p.grad.clone() for p in network.parameters()]
    modes = [module.training for module in network.modules()]
    identities = [id(p) for p in network.parameters()]
    output = network(images())
    network.load_state_dict(before)  # the norms of the layers in training moved
    proxy.score(network, images(), LABELS)
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(after[name].dtype == value.dtype for name, value in before.items())
    assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), gradients, strict=True))
    assert [module.training for module in network.modules()] == modes
    assert [id(p) for p in network.parameters()] == identities
    assert torch.equal(network(images()), output)


def test_a_network_survives_a_proxy_that_fails():
    network = build_network(with_se(None), 2, 16).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises((IndexError, RuntimeError)):
        gradnorm.score(network, images(), torch.tensor([5, 6, 7, 8]))
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(module.training for module in network.modules())


def test_an_unknown_proxy_is_named_with_those_that_are_known():
    with pytest.raises(InputError, match="proxy 'zicco' is not known; did you mean 'zico'"):
        proxy_score("zicco", with_se(None), images(), LABELS, 2)
