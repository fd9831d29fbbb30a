"""The fused path stands aside wherever something looks at single modules or operations."""

import os
import subprocess
import sys
from copy import deepcopy
from itertools import product

import pytest
import torch
from tails import Calls
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from search_space import SE, Block
from senet_nas.nn.fused import disabled, pending, primitives
from senet_nas.nn.fused.switch import VARIABLE
from senet_nas.nn.layers import ACTIVATIONS
from senet_nas.nn.network import build_block
from senet_nas.training.regularisation import stochastic_depth


def unit_with(placement="standard", cell="basic", **se):
    torch.manual_seed(0)
    return build_block(Block(cell, 16, se=SE(4, placement=placement, **se)), 16)


@pytest.fixture
def unit():
    return unit_with().eval()


@pytest.fixture
def x():
    return torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def calls(monkeypatch):
    return Calls(monkeypatch)


def plainly(unit, x):
    with disabled():
        return unit(x)


def test_all_activations_are_known():
    made = {name: type(make()) for name, make in ACTIVATIONS.items() if name != "identity"}
    assert {name: kind for kind, name in pending.ACTS.items()} == made
    assert set(primitives.ACTS) == set(ACTIVATIONS)


def test_runs_by_default_and_not_when_switched_off(unit, x, calls):
    fused = unit(x)
    assert len(calls.made) == 2
    torch.testing.assert_close(plainly(unit, x), fused)
    assert len(calls.made) == 2


def test_variable_switches_it_off():
    code = (
        "import torch; from senet_nas.nn.fused.switch import serves;"
        "print(serves(torch.zeros(1, 1, 1, 1)))"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {VARIABLE: "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("hook", "name"),
    [
        *product(("forward", "forward_pre"), ("tail.1", "se", "tail", "act", "se.reduce")),
        # Not on what an activation changes in place, which torch doesn't allow.
        *product(("full_backward", "full_backward_pre"), ("tail.1", "se", "tail", "se.expand")),
    ],
)
def test_hooks_are_called(unit, x, name, hook):
    called = []
    module = unit.get_submodule(name)
    getattr(module, f"register_{hook}_hook")(lambda *_: called.append(name))
    y = unit(x.requires_grad_())
    y.sum().backward()
    assert called == [name]
    torch.testing.assert_close(y, plainly(deepcopy(unit), x))


def test_hooks_on_all_modules_are_called(unit, x, calls):
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, *_: seen.append(type(m)))
    try:
        unit(x)
    finally:
        handle.remove()
    assert seen.count(nn.BatchNorm2d) == 2
    assert not calls.made


def test_replaced_methods_are_called(x):
    unit = unit_with().eval()
    unit.se.gates = lambda y: torch.zeros(2, 16, 1, 1)
    assert torch.equal(unit(x), x.relu())
    unit = unit_with().eval()
    unit.tail[1].forward = torch.zeros_like
    assert torch.equal(unit(x), x.relu())


def test_stochastic_depth_thins_the_sum(x):
    network = nn.Sequential(unit_with(), unit_with()).train()
    with stochastic_depth(network, 1.0):
        before = network[0](x)
        assert torch.equal(network(x), network[0](x))
    assert not torch.equal(before, x)


def test_tracers_see_plain_modules(unit, x, calls):
    graph = fx.symbolic_trace(unit)
    targets = {node.target for node in graph.graph.nodes}
    assert {"tail.1", "se.reduce", "head.1"} <= targets
    program = torch.export.export(unit, (x,), strict=False)
    assert "batch_norm" in program.graph_module.code
    traced = torch.jit.trace(unit, x, check_trace=False)
    compiled = torch.compile(unit, backend="eager", fullgraph=True)
    assert not calls.made
    for made in (graph, program.module(), traced, compiled):
        torch.testing.assert_close(made(x), plainly(unit, x))


def test_counters_and_meta_tensors_see_plain_modules(unit, x, calls):
    with FlopCounterMode(display=False) as counter:
        unit(x)
    assert counter.get_total_flops() > 0
    assert deepcopy(unit).to("meta")(x.to("meta")).shape == x.shape
    assert not calls.made


def test_transforms_and_forward_gradients(unit, x, calls):
    mapped = torch.func.vmap(lambda one: unit(one[None])[0])(x)
    torch.testing.assert_close(mapped, unit(x))
    _, slope = torch.func.jvp(unit, (x,), (torch.ones_like(x),))
    step = (plainly(unit, x + 1e-3) - plainly(unit, x - 1e-3)) / 2e-3
    torch.testing.assert_close(slope, step, rtol=0.05, atol=0.05)


def test_second_derivatives_are_refused_and_can_be_had_without(unit, x):
    x.requires_grad_()
    with pytest.raises(RuntimeError, match="disabled"):
        torch.autograd.grad(unit(x).sum(), x, create_graph=True)
    with disabled():
        (first,) = torch.autograd.grad(unit(x).square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
    assert second.abs().sum() > 0


def test_many_gradients_at_once_are_refused_and_can_be_had_without(unit, x):
    def jacobian(vectorize):
        return torch.autograd.functional.jacobian(
            lambda images: unit(images).mean((0, 2, 3)), x, vectorize=vectorize
        )

    with pytest.raises(RuntimeError, match="disabled"):
        jacobian(True)
    with disabled():
        torch.testing.assert_close(jacobian(True), jacobian(False))


@pytest.mark.parametrize("squeeze", ["max", "none"])
def test_other_squeezes_run_as_modules(squeeze, x, calls):
    unit = unit_with(squeeze=squeeze).eval()
    torch.testing.assert_close(unit(x), plainly(unit, x))
    assert [made["se"] for made in calls.made] == [None, None]


def test_other_norms_and_dtypes_run_as_modules(unit, x, calls):
    double = deepcopy(unit).double()
    assert double(x.double()).dtype is torch.float64
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(deepcopy(unit))
    torch.testing.assert_close(synchronised(x), plainly(unit, x))
    other = deepcopy(unit)
    other.tail[1] = nn.InstanceNorm2d(16)
    other.head[1] = nn.BatchNorm2d(16, affine=False)
    other(x)
    assert not calls.made


def test_a_norm_of_one_value_is_refused_as_torch_refuses_it():
    unit = build_block(Block("conv", 16), 16).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        unit(torch.randn(1, 16, 1, 1))


def test_norms_and_shortcuts_on_other_devices_are_refused_as_torch_refuses_them(unit, x):
    """A kernel would read at an address that is none here."""
    astray = deepcopy(unit)
    astray.tail[1].to("meta")
    with pytest.raises(RuntimeError, match="device"):
        astray(x)
    norm, kernels = nn.BatchNorm2d(16), primitives.kernels_for(x)
    assert pending.Pending(x, norm, kernels).plus(x) is not None
    assert pending.Pending(x, norm, kernels).plus(x.to("meta")) is None


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("is_training", [True, False])
def test_norms_of_other_widths_are_refused_as_torch_refuses_them(unit, x, name, is_training):
    unit.train(is_training)
    tensor = getattr(unit.tail[1], name)
    tensor.data = tensor.data[:8].clone()
    with pytest.raises(RuntimeError, match="16 elements"):
        unit(x)


def test_frozen_norms_train_by_their_statistics(x):
    unit = unit_with().train()
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    before = {name: buffer.clone() for name, buffer in unit.named_buffers()}
    plain = deepcopy(unit)
    unit(x).square().sum().backward()
    plainly(plain, x).square().sum().backward()
    for name, buffer in unit.named_buffers():
        assert torch.equal(buffer, before[name])
    for one, other in zip(unit.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_without_kernels_modules_run(unit, x, monkeypatch):
    wanted = plainly(unit, x)
    monkeypatch.setattr(pending, "kernels_for", lambda _: None)
    assert torch.equal(unit(x), wanted)


def test_shortcuts_of_other_dtypes_and_layouts(unit, x):
    rows = x.mT.contiguous().mT  # neither contiguous nor channels_last
    torch.testing.assert_close(unit(rows), plainly(unit, x))
    with torch.autocast("cpu", torch.bfloat16):
        y = unit(x)  # the shortcut is float32, the branch bfloat16
        assert y.dtype is plainly(unit, x).dtype
