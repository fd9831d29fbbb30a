"""SqueezeExcitation against the paper's equations written out, and against timm."""

import itertools

import pytest
import timm.layers
import torch

from search_space import SE
from search_space.values import EXCITATIONS, SQUEEZES
from senet_nas.nn import SqueezeExcitation


def by_hand(block: SqueezeExcitation, x: torch.Tensor) -> torch.Tensor:
    """Equations 2 to 4, element by element where the squeeze is `none`."""
    se = block.value
    gates = {
        "sigmoid": lambda v: 1 / (1 + torch.exp(-v)),
        "hard_sigmoid": lambda v: ((v + 3) / 6).clamp(0, 1),
        "tanh": torch.tanh,
        "relu": lambda v: v.clamp(min=0),
    }
    pooled = {
        "avg": lambda: x.flatten(2).mean(2)[..., None],
        "max": lambda: x.flatten(2).max(2).values[..., None],
        "none": lambda: x.flatten(2),
    }[se.squeeze]()
    hidden = torch.einsum("hc,ncp->nhp", block.reduce.weight, pooled)
    if se.bias:
        hidden = hidden + block.reduce.bias[:, None]
    excited = torch.einsum("ch,nhp->ncp", block.expand.weight, hidden.clamp(min=0))
    if se.bias:
        excited = excited + block.expand.bias[:, None]
    return (x.flatten(2) * gates[se.excitation](excited)).view_as(x)


@pytest.mark.parametrize(
    ("squeeze", "excitation", "bias"), itertools.product(SQUEEZES, EXCITATIONS, (True, False))
)
def test_computes_the_equations(squeeze, excitation, bias):
    torch.manual_seed(0)
    block = SqueezeExcitation(16, SE(r=4, squeeze=squeeze, excitation=excitation, bias=bias))
    x = torch.randn(3, 16, 5, 7)
    torch.testing.assert_close(block(x), by_hand(block, x), atol=1e-6, rtol=1e-5)


def test_equals_timm_with_its_weights():
    theirs = timm.layers.SEModule(64, rd_ratio=1 / 16, rd_divisor=1)
    ours = SqueezeExcitation(64, SE(r=16))
    for mine, other in ((ours.reduce, theirs.fc1), (ours.expand, theirs.fc2)):
        mine.weight.data = other.weight.data.flatten(1)
        mine.bias.data = other.bias.data
    x = torch.randn(2, 64, 8, 8)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("se", "hidden"),
    [
        (SE(r=16), 6),
        (SE(r=16, base="input"), 2),
        (SE(r=4, divisor=8), 24),
        (SE(r=200), 1),
        (SE(r=16, divisor=8), 8),
    ],
)
def test_hidden_width(se, hidden):
    assert SqueezeExcitation(96, se, input_channels=32).reduce.out_features == hidden


def test_rounding_never_loses_more_than_a_tenth():
    assert SE(r=4, divisor=8).hidden_channels(76, 76) == 24  # 19 would round to 16
    for channels in range(8, 400):
        hidden = SE(r=4, divisor=8).hidden_channels(channels, channels)
        assert hidden % 8 == 0
        assert hidden >= 0.9 * channels / 4
        assert hidden == timm.layers.make_divisible(channels / 4, 8)


def test_parameters_follow_equation_5():
    block = SqueezeExcitation(256, SE(r=16, bias=False))
    assert sum(p.numel() for p in block.parameters()) == 2 * 256 * 256 // 16


@pytest.mark.parametrize("excitation", EXCITATIONS)
@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("channels", "r"), [(64, 4), (24, 8), (256, 16), (96, 16), (8, 8)])
def test_a_neutral_block_changes_nothing_and_learns(excitation, squeeze, dtype, channels, r):
    torch.manual_seed(1)
    se = SE(r, excitation=excitation, squeeze=squeeze, neutral=True)
    block = SqueezeExcitation(channels, se).to(dtype)
    x = (3 * torch.randn(5, channels, 7, 5)).to(dtype)
    y = block(x)
    assert torch.equal(y, x)
    (y * torch.randn_like(y)).sum().backward()
    alone = block.reduce.out_features == 1  # a hidden unit that has no partner is not read yet
    for name, parameter in block.named_parameters():
        assert (parameter.grad.abs().sum() > 0) != (alone and name.startswith("reduce")), name
