"""Units run fused give what their plain modules give in float64, forwards and backwards."""

from contextlib import nullcontext
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tails import LAYOUTS, Calls, distances, exact, outcomes, randomised
from torch import nn

from search_space import SE, Block
from search_space.values import EXCITATIONS, PLACEMENTS
from senet_nas.nn import build_network
from senet_nas.nn.fused import disabled
from senet_nas.nn.network import build_block

CELLS = ("basic", "bottleneck", "inverted_residual", "conv", "preact_basic", "separable")


@st.composite
def units(draw):
    """A unit, an input, and the weights of its output in a loss."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    cell = draw(st.sampled_from(CELLS))
    in_channels, stride = draw(st.sampled_from([(24, 1), (16, 2)]))
    se = SE(
        r=draw(st.sampled_from([2, 4, 16])),
        placement=draw(st.sampled_from(PLACEMENTS)),
        excitation=draw(st.sampled_from(EXCITATIONS)),
        squeeze=draw(st.sampled_from(["avg", "avg", "max", "none"])),
        bias=draw(st.booleans()),
    )
    block = Block(
        cell,
        24,
        stride=stride,
        expansion=2 if cell == "inverted_residual" else 0.5,
        activation=draw(st.sampled_from(["relu", "relu6", "silu", "hard_swish"])),
        se=draw(st.sampled_from([se, se, se, None])),
    )
    with torch.random.fork_rng():
        torch.manual_seed(generator.initial_seed())
        unit = randomised(build_block(block, in_channels), generator)
    unit.train(draw(st.booleans()))
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    unit = unit.to(memory_format=layout)
    size = draw(st.integers(1, 4)), in_channels, draw(st.integers(3, 9)), draw(st.integers(3, 9))
    x = torch.randn(size, generator=generator).contiguous(memory_format=layout)
    with torch.no_grad():
        shape = deepcopy(unit)(x).shape
    return unit, x, torch.randn(shape, generator=generator)


@settings(max_examples=60, deadline=None)
@given(made=units())
def test_float32_within_1e_5_of_float64(made):
    unit, x, weights = made
    wanted = exact(unit, x, weights)
    found, plain = outcomes(unit, x, weights), None
    for name, distance in distances(found, wanted).items():
        if distance < 1e-5:
            continue
        # Few values, far from each other, condition a norm badly: then as good as the module.
        with disabled():
            plain = plain or distances(outcomes(unit, x, weights), wanted)
        assert distance < 2 * plain[name], name


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("act", ["relu", "hard_swish"])
@pytest.mark.parametrize("placement", [*PLACEMENTS, None])
@pytest.mark.parametrize("cell", ["bottleneck", "inverted_residual"])
def test_bfloat16_no_worse_than_plain_modules(cell, placement, act, is_training):
    se = None if placement is None else SE(4, placement=placement)
    wide = {"expansion": 2 if cell == "inverted_residual" else 0.5}
    errors = {"fused": [0.0, 0.0], "plain": [0.0, 0.0]}
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        unit = randomised(
            build_block(Block(cell, 32, activation=act, se=se, **wide), 32), generator
        )
        unit = unit.to(memory_format=torch.channels_last).train(is_training)
        x, weights = torch.randn(2, 16, 32, 12, 12, generator=generator).bfloat16()
        x = x.contiguous(memory_format=torch.channels_last)
        wanted = exact(unit, x, weights)
        for kind, switch in (("fused", nullcontext), ("plain", disabled)):
            with switch():
                found = outcomes(unit, x, weights, torch.bfloat16)
            for of_gradients in (False, True):
                names = [name for name in wanted if name.endswith(".grad") == of_gradients]
                errors[kind][of_gradients] += sum(relative(found[n], wanted[n]) for n in names)
    for fused, plain in zip(errors["fused"], errors["plain"], strict=True):
        assert fused < 1.02 * plain, errors


def relative(found, wanted):
    """The norm of the error over that of the value; 0 where that is rounding alone."""
    norm = wanted.norm()
    return float((found.double() - wanted).norm() / norm) if norm > 1e-9 else 0.0


@pytest.mark.parametrize(
    ("cell", "placement", "fused"),
    [
        ("bottleneck", None, [(False, False, "relu")] * 2 + [(False, True, "relu")]),
        ("bottleneck", "standard", [(False, False, "relu")] * 2 + [(True, True, "relu")]),
        ("basic", "conv3x3", [(True, False, "relu"), (False, True, "relu")]),
        ("inverted_residual", "conv3x3",
         [(False, False, "relu"), (True, False, "relu"), (False, True, "identity")]),
    ],
)  # fmt: skip
def test_tail_is_one_map(cell, placement, fused, monkeypatch):
    calls = Calls(monkeypatch)
    se = None if placement is None else SE(4, placement=placement)
    unit = build_block(Block(cell, 32, se=se, expansion=1), 32)
    if cell == "inverted_residual":
        unit = build_block(Block(cell, 32, se=se, expansion=2), 32)
    unit(torch.randn(2, 32, 6, 6))
    found = [(c["se"] is not None, c["shortcut"] is not None, c["act"]) for c in calls.made]
    assert found == fused


def test_whole_network_trains_alike_and_has_the_same_state():
    from search_space.published.cifar_resnet import cifar_resnet

    torch.manual_seed(0)
    fused = build_network(cifar_resnet(8, SE(4)), 10, 32)
    plain = deepcopy(fused)
    images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
    for network in (fused, plain):
        optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        for _ in range(3):
            optimiser.zero_grad()
            if network is fused:
                nn.functional.cross_entropy(network(images), labels).backward()
            else:
                with disabled():
                    nn.functional.cross_entropy(network(images), labels).backward()
            optimiser.step()
    assert fused.state_dict().keys() == plain.state_dict().keys()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(fused.state_dict()[name], tensor, rtol=2e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_are_brought_on_as_torch_does(momentum):
    torch.manual_seed(0)
    unit = build_block(Block("conv", 16), 8)
    norm = unit.head[1]
    norm.momentum = momentum
    plain = deepcopy(unit)
    for seed in range(3):
        x = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(seed)) * 3 + 1
        unit(x)
        with disabled():
            plain(x)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dict(unit.named_buffers())[name], buffer)


def test_gradients_accumulate_and_a_graph_can_be_kept():
    torch.manual_seed(0)
    unit = build_block(
        Block("inverted_residual", 16, expansion=2, se=SE(4, placement="conv3x3")), 16
    )
    unit.eval()
    x = torch.randn(2, 16, 5, 5)
    loss = unit(x).square().sum()
    loss.backward(retain_graph=True)
    once = {name: p.grad.clone() for name, p in unit.named_parameters()}
    loss.backward()
    for name, parameter in unit.named_parameters():
        torch.testing.assert_close(parameter.grad, 2 * once[name])


def test_no_graph_outlives_its_output():
    import gc
    import weakref

    unit = build_block(Block("basic", 16, se=SE(4, placement="conv3x3")), 16)
    x = torch.randn(2, 16, 5, 5, requires_grad=True)
    y = unit(x * 1)
    held = weakref.ref(y.grad_fn.next_functions[0][0])
    gc.collect()
    gc.disable()
    try:
        del y
        assert held() is None
    finally:
        gc.enable()
