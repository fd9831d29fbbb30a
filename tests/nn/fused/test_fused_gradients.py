"""Fused units give plain modules' gradients whichever of them are asked for, and run whatever
plain modules run."""

from copy import deepcopy

import pytest
import torch
from tails import LAYOUTS, randomised
from torch import nn

from search_space import SE, Block
from senet_nas.nn.fused import disabled
from senet_nas.nn.fused.primitives import kernels_for
from senet_nas.nn.fused.tail import normalise
from senet_nas.nn.network import build_block

UNITS = [
    ("inverted_residual", "conv3x3"),  # the activation before SE
    ("basic", "conv3x3"),
    ("basic", "standard"),  # SE before the activation
]


def unit_of(cell, placement):
    torch.manual_seed(0)
    wide = {"expansion": 2} if cell == "inverted_residual" else {}
    unit = build_block(Block(cell, 16, se=SE(4, placement=placement), **wide), 16)
    return randomised(unit, torch.Generator().manual_seed(1))


def norms(unit):
    return [module for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]


def same(found_by):
    """What is found with the kernels and without them is the same, but for float32's rounding of
    a tensor's largest values."""
    found = found_by()
    with disabled():
        for one, plain in zip(found, found_by(), strict=True):
            most = 1e-4 + 2e-6 * float(plain.detach().abs().max())
            torch.testing.assert_close(one, plain, rtol=1e-4, atol=most)


@pytest.fixture
def x():
    return torch.randn(3, 16, 6, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize(("cell", "placement"), UNITS)
def test_of_the_input_alone(cell, placement, is_training, x):
    unit = unit_of(cell, placement).train(is_training)
    same(lambda: torch.autograd.grad(deepcopy(unit)(x).square().sum(), x))


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("frozen", ["norms", "all"])
@pytest.mark.parametrize(("cell", "placement"), UNITS)
def test_past_frozen_parameters(cell, placement, frozen, is_training, x):
    unit = unit_of(cell, placement).train(is_training)
    for module in [unit] if frozen == "all" else norms(unit):
        module.requires_grad_(False)

    def found():
        x.grad, copy = None, deepcopy(unit)
        copy(x).square().sum().backward()
        return [x.grad, *(p.grad for p in copy.parameters() if p.grad is not None)]

    same(found)


def test_of_one_loss_after_another(x):
    unit = unit_of("inverted_residual", "conv3x3").eval()

    def found():
        y = unit(x)
        weights = [norm.weight for norm in norms(unit)]
        torch.autograd.grad(y.square().sum(), weights, retain_graph=True)
        return torch.autograd.grad(y[:, 0].sum(), x)

    same(found)


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("has_gradients", [True, False])
@pytest.mark.parametrize(("cell", "placement"), UNITS)
def test_bfloat16_networks_with_norms_in_float32(cell, placement, has_gradients, is_training, x):
    unit = unit_of(cell, placement).train(is_training)
    exactly = deepcopy(unit)
    unit.bfloat16()
    for norm in norms(unit):
        norm.float()
    with torch.set_grad_enabled(has_gradients):
        y = unit(x.bfloat16())
        with disabled():
            wanted = exactly(x)
    assert y.dtype is torch.bfloat16
    assert (y.float() - wanted).norm() < 0.02 * wanted.norm()
    if has_gradients:
        y.sum().backward()
        assert all(p.grad.dtype is p.dtype for p in unit.parameters())


@pytest.mark.parametrize("is_training", [True, False])
def test_norms_whose_statistics_are_not_to_be_brought_on(is_training, x):
    """As virtual adversarial training sets them for a second look at the same images."""

    def found():
        unit = unit_of("basic", "standard").train(is_training)
        for norm in norms(unit):
            norm.track_running_stats = False
        return [unit(x), *unit.buffers()]

    same(found)


def test_norms_that_lack_something(x):
    unit = unit_of("basic", "standard").train()
    unit.head[1].register_parameter("bias", None)
    unit.tail[1].num_batches_tracked = None
    same(lambda: deepcopy(unit)(x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_maps_that_hooks_take_away_are_not_held(layout):
    """As when activations are offloaded or computed anew."""
    x = torch.randn(2, 16, 4, 4).contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    there = x.untyped_storage().data_ptr()
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda kept: kept):
        y = normalise(x, nn.BatchNorm2d(16), kernels_for(x), act="relu")
    assert y.grad_fn.link.centre.untyped_storage().data_ptr() != there


def test_norms_whose_values_lie_apart_in_memory(x):
    def found(is_training):
        unit = unit_of("basic", "standard").train(is_training)
        for norm in norms(unit):
            norm.weight, norm.bias = (nn.Parameter(apart(0.5)) for _ in range(2))
            norm.running_mean, norm.running_var = apart(-1.0), apart(1.0)
            assert not norm.weight.is_contiguous()
        unit(x).square().sum().backward()
        return [p.grad for p in unit.parameters()] + [norm.running_var for norm in norms(unit)]

    def apart(start):
        return torch.linspace(start, start + 1, 32)[::2]

    same(lambda: found(True))
    same(lambda: found(False))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("cell", "placement"), UNITS)
def test_torchs_default_dtype_and_device_do_not_matter(cell, placement, dtype, x):
    unit = unit_of(cell, placement).train()

    def found():
        x.grad, copy = None, deepcopy(unit)
        copy(x).square().sum().backward()
        return [x.grad, *(p.grad for p in copy.parameters()), *copy.buffers()]

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            same(found)
    finally:
        torch.set_default_dtype(before)
