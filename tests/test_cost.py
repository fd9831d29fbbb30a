"""Costs equal a full trace of the built network for any architecture, and the paper's counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from search_space import Architecture, InputError, load, published, space_names
from senet_nas import Cost, build_network, cost
from senet_nas.cost import _gate_cost, _traced_block, block_cost, classifier_cost
from senet_nas.latency import Timing, measure_latency


def traced(architecture: Architecture, size: int, classes: int) -> tuple[Cost, torch.nn.Module]:
    """Counted on the whole network at once, activations by hooks."""
    with torch.device("meta"):
        network = build_network(architecture, classes, size).eval()
        images = torch.empty(1, 3, size, size)
    written = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(lambda m, i, output: written.append(output.numel()))
    counter = FlopCounterMode(display=False)
    with counter:
        network(images)
    params = sum(p.numel() for p in network.parameters())
    return Cost(params, counter.get_total_flops() // 2, sum(written)), network


@pytest.mark.parametrize("name", space_names())
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_a_full_trace(name, seed):
    space = load(name)
    size, classes = (32, 10) if name.startswith("cifar") else (64, 100)
    architecture = space.build(space.sample(np.random.default_rng(seed)))
    assert cost(architecture, size, classes) == traced(architecture, size, classes)[0]


@pytest.mark.parametrize(
    "name",
    ["se_resnet50", "se_resnext50_32x4d", "se_mobilenet_v2", "se_wrn_16_8", "se_preresnet110"],
)
def test_published_networks_equal_a_full_trace(name):
    assert cost(published(name)) == traced(published(name), 224, 1000)[0]


def test_is_the_same_in_inference_mode():
    unusual = published("se_resnet50")
    with torch.inference_mode():
        found = cost(unusual, 33, 7)
    for kept in (_traced_block, _gate_cost, block_cost, classifier_cost):
        kept.cache_clear()
    assert found == cost(unusual, 33, 7)
    assert found.macs > 0


def test_agrees_with_fvcore():
    architecture = published("se_cifar_resnet20")
    network = build_network(architecture, 10, 32).eval()
    counted = FlopCountAnalysis(network, torch.randn(1, 3, 32, 32))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = counted.by_operator()
    ours = cost(architecture, 32, 10).macs
    assert by_operator["conv"] + by_operator["linear"] == ours


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("resnet50", 25_557_032, 4_089_184_256),
        ("se_resnet50", 28_088_024, 4_091_699_200),
        ("resnet18", 11_689_512, None),
        ("resnet34", 21_797_672, None),
        ("resnet101", 44_549_160, None),
        ("resnet152", 60_192_808, None),
        ("resnext50_32x4d", 25_028_904, None),
        ("mobilenet_v2", 3_504_872, None),
    ],
)
def test_published_counts(name, params, macs):
    found = cost(published(name), image_size=224)
    assert found.params == params
    assert macs is None or found.macs == macs


def varied(ratio=16, placement="standard", stages=(0, 1, 2, 3)) -> Architecture:
    """SE-ResNet-50 without biases in SE, as the paper's ablations have it."""
    network = published("se_resnet50")

    def block(b, there):
        se = replace(b.se, r=ratio, placement=placement, bias=False)
        return replace(b, se=se if there else None)

    return replace(
        network,
        stages=tuple(
            replace(stage, blocks=tuple(block(b, n in stages) for b in stage.blocks))
            for n, stage in enumerate(network.stages)
        ),
    )


@pytest.mark.parametrize(
    ("architecture", "params"),
    [
        (varied(2), 45_676_584),
        (varied(4), 35_616_808),
        (varied(8), 30_586_920),
        (varied(16), 28_071_976),
        (varied(32), 26_814_504),
        (varied(stages=(0,)), 25_581_608),
        (varied(stages=(1,)), 25_688_104),
        (varied(stages=(2,)), 26_343_464),
        (varied(stages=(3,)), 27_129_896),
        (varied(placement="conv3x3"), 25_714_216),
    ],
)
def test_the_papers_tables(architecture, params):
    assert cost(architecture).params == params


def test_stride_in_the_first_1x1_costs_what_the_original_does():
    network = published("resnet50")
    first = replace(
        network,
        stages=tuple(
            replace(
                stage,
                blocks=tuple(replace(b, extra=(("stride_in", "first"),)) for b in stage.blocks),
            )
            for stage in network.stages
        ),
    )
    assert cost(first).params == 25_557_032
    assert cost(first).macs == pytest.approx(3.86e9, rel=0.003)


def test_cifar_resnet56_costs_what_was_published():
    found = cost(published("cifar_resnet56"), image_size=32, num_classes=10)
    assert (found.params, found.macs) == (855_770, 125_747_840)


def test_an_unknown_cell_is_said_with_its_place():
    text = published("resnet18").to_json().replace('"basic"', '"basik"', 1)
    with pytest.raises(InputError, match=r"stages.0.blocks.0: cell 'basik' is not known"):
        cost(Architecture.from_json(text))


def test_latency_is_measured_in_milliseconds():
    """Between an impossible 1 µs and a minute, whatever else the machine does."""
    few = Timing(repeats=3)
    assert 1e-3 < measure_latency(published("se_cifar_resnet20"), 32, 10, few) < 60_000
