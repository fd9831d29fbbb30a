"""A subnet is the stand-alone network; a mixture with all weight on one network is that network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from search_space import SE, InputError, SearchSpace, load, published, space_names
from search_space.around import around_published
from search_space.coverage import coverage
from senet_nas.nn import build_network
from senet_nas.nn.fused import disabled
from senet_nas.nn.supernet import Supernet
from senet_nas.nn.supernet.gates import SharedGates
from senet_nas.nn.supernet.mixing import MixedSupernet, Mixture

HUGE = {"imagenet_residual", "imagenet_mobile"}  # up to 848M parameters
NAMED = [
    pytest.param(name, marks=pytest.mark.slow if name in HUGE else ()) for name in space_names()
]
# Cells that none of the spaces has, with SE wherever it may stand.
PUBLISHED = [
    "shufflenet_v2",
    pytest.param("se_densenet121", marks=pytest.mark.slow),
    "bn_inception",
    "preresnet50",
    "se_regnetx_200mf",
]


def supernet(space: SearchSpace, num_classes: int = 7) -> Supernet:
    """With weights and statistics that are all different from those of the start."""
    torch.manual_seed(0)
    built = Supernet(space, num_classes)
    with torch.no_grad():
        for tensor in built.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.1 * torch.rand_like(tensor))
    return built


def without_dropout(space: SearchSpace) -> SearchSpace:
    def build(choices):
        network = space.builder(choices)
        return replace(network, head=replace(network.head, dropout=0.0))

    return replace(space, builder=build)


def one_hot(space: SearchSpace, candidate) -> list[torch.Tensor]:
    return [
        F.one_hot(torch.tensor(number), len(decision.options)).to(torch.get_default_dtype())
        for number, decision in zip(candidate, space.decisions, strict=True)
    ]


def images(size: int = 32, count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).detach().abs().max() / first.detach().abs().max())


@pytest.mark.parametrize("name", NAMED)
def test_a_subnet_computes_what_the_network_of_its_own_computes(name):
    space = without_dropout(load(name))
    shared, rng = supernet(space), np.random.default_rng(0)
    for _ in range(6):
        architecture = space.build(space.sample(rng))
        alone = shared.subnet(architecture, 64)
        names = [name for name, _ in build_network(architecture, 7, 64).named_parameters()]
        assert [name for name, _ in alone.named_parameters()] == names
        for training in (False, True):
            shared.train(training), alone.train(training)
            assert difference(shared(images(64)), alone(images(64))) < 1e-5


@pytest.mark.parametrize("name", PUBLISHED)
def test_any_published_network_may_be_the_trunk(name):
    space = around_published(name, {"r": [4, 16]})
    shared, rng = supernet(space), np.random.default_rng(0)
    architecture = space.build(space.sample(rng))
    alone = shared.eval().subnet(architecture, 64)
    assert difference(shared(images(64, 2)), alone(images(64, 2))) < 1e-5


@pytest.mark.parametrize("name", NAMED)
def test_a_mixture_with_all_weight_on_one_network_is_that_network(name):
    space = without_dropout(load(name))
    shared, rng = supernet(space), np.random.default_rng(0)
    mixed = MixedSupernet(shared)
    everything = [range(len(decision.options)) for decision in space.decisions]
    for _ in range(2):
        candidate = space.sample(rng)
        shared.choose(space.build(candidate))
        weights = one_hot(space, candidate)
        for training in (False, True):
            shared.train(training)
            with disabled():  # mixtures run their plain modules
                expected = shared(images(64))
            assert difference(expected, mixed(images(64), Mixture(weights))) < 1e-5
            assert difference(expected, mixed(images(64), Mixture(weights, everything))) < 1e-5


@pytest.mark.parametrize("name", ["cifar_mobile", "cifar_residual"])
def test_every_decision_of_a_mixture_learns(name):
    space = load(name)
    shared = supernet(space)
    weights = [
        torch.full((len(d.options),), 1 / len(d.options), requires_grad=True)
        for d in space.decisions
    ]
    logits = MixedSupernet(shared)(images(), Mixture(weights))
    F.cross_entropy(logits, torch.arange(4)).backward()
    for decision, weight in zip(space.decisions, weights, strict=True):
        gradient = weight.grad
        assert gradient is not None and gradient.isfinite().all(), decision.name
        assert float(gradient.abs().max()) > 0, decision.name
    assert all(p.grad is None or p.grad.isfinite().all() for p in shared.parameters())


def test_the_gradient_of_a_mixture_is_its_slope():
    """By differences, where widths, groups and depths are mixed at once."""
    space = load("cifar_residual")
    shared = supernet(space).eval()
    mixed, drawn = MixedSupernet(shared), torch.Generator().manual_seed(1)
    weights = [torch.rand(len(d.options), generator=drawn) + 0.3 for d in space.decisions]
    weights = [(weight / weight.sum()).requires_grad_() for weight in weights]

    def loss(changed):
        return F.cross_entropy(mixed(images(), Mixture(changed)), torch.arange(4))

    gradients = torch.autograd.grad(loss(weights), weights, materialize_grads=True)
    distance = 0.02
    for position, decision in enumerate(space.decisions):
        if decision.name not in ("stage3_depth", "stage3_channels", "stage3_cell", "stage3_groups"):
            continue
        direction = torch.zeros(len(decision.options))
        direction[0], direction[-1] = -1, 1
        with torch.no_grad():
            above, below = (
                loss([w + s * direction if n == position else w for n, w in enumerate(weights)])
                for s in (distance, -distance)
            )
        slope = float(above - below) / (2 * distance)
        found = float((gradients[position] * direction).sum())
        assert found == pytest.approx(slope, rel=0.05, abs=1e-4), decision.name


@pytest.fixture
def in_float64():
    """Makes a supernet's mixtures compute in float64 until the test's end."""

    def converted(shared: Supernet) -> MixedSupernet:
        torch.set_default_dtype(torch.float64)
        return MixedSupernet(shared.double())

    yield converted
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("name", "seed", "of"),
    [("cifar_tiny", 0, ("",)), ("cifar_residual", 2, ("_cell", "_channels"))],
)
def test_an_option_that_is_computed_without_weight_has_the_slope_towards_it(
    name, seed, of, in_float64
):
    """As gumbel and proxyless have it: one network has all the weight, and of each decision
    another option is computed. All else stays as it was drawn. At greater distances, or by
    numbers that round more, ReLUs and rounding bend what is a slope here."""
    space = load(name)
    mixed = in_float64(supernet(space).eval())
    rng = np.random.default_rng(seed)
    candidate = space.sample(rng)
    steps = [int(rng.integers(1, len(d.options))) for d in space.decisions]
    others = [
        (number + step) % len(decision.options)
        for number, step, decision in zip(candidate, steps, space.decisions, strict=True)
    ]
    support = list(zip(candidate, others, strict=True))
    weights = [weight.requires_grad_() for weight in one_hot(space, candidate)]

    def loss(changed):
        return F.cross_entropy(mixed(images(), Mixture(changed, support)), torch.arange(4))

    gradients = torch.autograd.grad(loss(weights), weights, materialize_grads=True)
    distance = 1e-4
    for position, decision in enumerate(space.decisions):
        if not decision.name.endswith(of):
            continue
        drawn, other = support[position]
        moved = one_hot(space, candidate)
        values = []
        for share in (0, distance, 2 * distance):
            moved[position][drawn], moved[position][other] = 1 - share, share
            with torch.no_grad():
                values.append(float(loss(moved)))
        slope = (-3 * values[0] + 4 * values[1] - values[2]) / (2 * distance)
        found = float(gradients[position][other] - gradients[position][drawn])
        assert found == pytest.approx(slope, rel=0.1, abs=1e-4), decision.name


def test_a_wider_expansion_that_is_computed_without_weight_can_be_wished_for():
    """In training, where a norm undoes how small the channels under a mask are; a second mask
    behind it would take away their slope."""
    space = load("cifar_mobile")
    mixed = MixedSupernet(supernet(space).train())
    candidate = space.candidate({})
    support = [
        (number, len(d.options) - 1) if d.name.endswith("block1_expansion") else (number,)
        for number, d in zip(candidate, space.decisions, strict=True)
    ]
    weights = [weight.requires_grad_() for weight in one_hot(space, candidate)]
    loss = F.cross_entropy(mixed(images(), Mixture(weights, support)), torch.arange(4))
    gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    for decision, gradient in zip(space.decisions, gradients, strict=True):
        if decision.name.endswith("block1_expansion"):
            assert abs(float(gradient[-1] - gradient[0])) > 1e-4, decision.name


def test_se_options_share_one_pass_over_the_trunk(monkeypatch):
    """Mixing 51 SE options at each block convolves no more than one network does."""
    space = load("cifar_residual")
    shared, mixed = supernet(space), None
    mixed = MixedSupernet(shared)
    candidate = space.sample(np.random.default_rng(3))
    shared.choose(space.build(candidate))
    weights = [
        torch.full((len(d.options),), 1 / len(d.options)) if d.name.endswith("_se") else w
        for d, w in zip(space.decisions, one_hot(space, candidate), strict=True)
    ]
    calls = {"conv2d": 0}
    plain = F.conv2d

    def counted(*args, **kwargs):
        calls["conv2d"] += 1
        return plain(*args, **kwargs)

    monkeypatch.setattr(F, "conv2d", counted)
    shared(images())
    alone, calls["conv2d"] = calls["conv2d"], 0
    mixed(images(), Mixture(weights))
    assert calls["conv2d"] == alone > 0


@pytest.mark.parametrize("excitation", ["sigmoid", "hard_sigmoid"])
def test_gates_of_a_new_supernet_are_near_one(excitation):
    """So that a block learns about the same with SE as without."""
    wanted = [(SE(r=4, excitation=excitation), 32, 32)]
    torch.manual_seed(0)
    gate = SharedGates(wanted).bound(*wanted[0]).use(training=True).gate
    gates = gate.gates(images(size=8, count=8).repeat(1, 11, 1, 1)[:, :32].abs())
    assert 0.75 < float(gates.detach().mean()) < 1
    assert float(gates.detach().std()) > 0.01


def test_gates_that_begin_at_one_stay_there():
    wanted = [(SE(r=4, excitation="sigmoid", neutral=True), 32, 32)]
    gate = SharedGates(wanted).bound(*wanted[0]).use(training=True).gate
    assert gate.expand.bias.detach().abs().max() < 1


def test_only_the_chosen_part_of_the_weights_learns():
    space = load("cifar_mobile")
    shared = supernet(space)
    smallest = space.candidate({})
    shared.choose(space.build(smallest))
    shared(images()).square().sum().backward()
    kernel = shared.state_dict(keep_vars=True)[
        "places.stages_0_blocks_0.cells.inverted_residual.head_conv_0.weight"
    ]
    assert kernel.shape[2:] == (5, 5)
    assert kernel.grad is not None
    assert float(kernel.grad[:, :, 0].abs().max()) == 0  # outside of the 3x3 in the middle
    assert float(kernel.grad[:32, :, 1:4, 1:4].abs().min()) > 0
    assert float(kernel.grad[32:].abs().max()) == 0


def test_statistics_of_its_own_leave_the_shared_ones():
    space = load("cifar_tiny")
    shared = supernet(space)
    before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
    architecture = space.build(space.sample(np.random.default_rng(0)))
    shared.choose(architecture)
    with shared.own_statistics(), torch.no_grad():
        shared.train()
        for _ in range(3):
            shared(images(count=16))
        shared.eval()
        scored = shared(images())
        alone = shared.chosen_network(32)
    assert all(torch.equal(before[name], now) for name, now in shared.state_dict().items())
    assert difference(scored, alone(images())) < 1e-5
    # With momentum 1/n over equal batches, the statistics are those of one batch.
    norm = next(m for m in alone.modules() if isinstance(m, torch.nn.BatchNorm2d))
    first = next(m for m in alone.modules() if isinstance(m, torch.nn.Conv2d))
    assert torch.allclose(norm.running_mean, first(images(count=16)).mean((0, 2, 3)), atol=1e-5)


def test_networks_of_other_spaces_are_refused():
    shared = Supernet(load("cifar_tiny"), 10)
    with pytest.raises(InputError, match=r"stem\.blocks\.0.*no block of the supernet's space"):
        shared.choose(published("se_resnet50"))
    base = shared.space.build(shared.space.candidate({}))
    with pytest.raises(InputError, match=r"stages\.3\.blocks\.0.*no block there"):
        shared.choose(replace(base, stages=(*base.stages, base.stages[-1])))


def test_coverage_lists_what_stands_at_each_place():
    space = load("cifar_residual")
    found = coverage(space)
    rng = np.random.default_rng(5)
    for _ in range(100):
        candidate = space.sample(rng)
        blocks = {p.path: block for p in found.places if (block := p.block(candidate))}
        assert blocks == dict(space.build(candidate).blocks())
    widths = {space.build(space.sample(rng)).stages[-1].blocks[-1].channels for _ in range(200)}
    assert widths == set(found.last_widths())


def test_a_space_whose_head_varies_has_no_supernet():
    base = load("cifar_tiny")

    def build(choices):
        network = base.builder(choices)
        hidden = 8 * choices["stage1_depth"]
        return replace(network, head=replace(network.head, hidden=hidden))

    with pytest.raises(InputError, match="one head"):
        coverage(replace(base, builder=build))
