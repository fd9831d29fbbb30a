"""Settings of single cells: padding as TensorFlow's, averaging shortcuts, units of inverted
residuals, densely connected layers; and what an architecture of all of them costs."""

import pytest
import torch
from test_cost import traced
from timm.layers import Conv2dSame
from timm.models.resnet import downsample_avg
from torch import nn

from search_space import (
    SE,
    Architecture,
    Block,
    Head,
    InputError,
    Stage,
    published,
    structural_hash,
)
from senet_nas import build_network, cost
from senet_nas.nn.layers import TensorFlowConv2d
from senet_nas.nn.network import build_block

TF = ("padding", "tf_same")
MOBILENET_V3_SMALL = "b57d3d0cbe6f4493"  # its hash


def block(cell, channels=16, stride=1, **settings):
    own = {key: settings.pop(key) for key in ("kernel", "expansion", "groups", "activation", "se")
           if key in settings}  # fmt: skip
    return Block(cell, channels, stride, extra=tuple(settings.items()), **own)


def everything() -> Architecture:
    """Each cell that has settings of this page, on maps that are odd somewhere."""
    squeeze = SE(r=4, placement="conv3x3", base="input")
    return Architecture(
        Stage((Block("conv", 8, 2, extra=(TF,)), block("max_pool", 8, 2, windows="apart_ceil"))),
        (
            Stage(
                (
                    block("separable", 12, 2, kernel=5, padding="tf_same"),
                    block("inverted_residual", 12, expand="always", se=squeeze),
                    block("inverted_residual", 12, expansion=3, shortcut="none", se=squeeze),
                )
            ),
            Stage(
                (
                    block("fused_inverted_residual", 16, 2, expansion=4, padding="tf_same"),
                    block("fused_inverted_residual", 16, se=squeeze),
                    block("fused_inverted_residual", 16, project="always", groups=2),
                    block("basic", 24, 2, shortcut="avg", branch="activated", se=SE(r=4)),
                    block("bottleneck", 32, 2, expansion=0.25, shortcut="avg"),
                )
            ),
            Stage(
                (
                    block("dense_layer", 40, expansion=4, se=SE(r=2)),
                    block("dense_transition", 20, 2, se=SE(r=4)),
                    block("inception", 20, branches="1x1-8, 1x1-4 1xk-6+kx1-6"),
                )
            ),
        ),
        Head(hidden=24, hidden_bias=False, activation="hard_swish"),
    )


def test_cost_equals_a_full_trace_and_all_weights_learn():
    network = everything()
    for size in (128, 203):
        assert cost(network, size, 5) == traced(network, size, 5)[0]
    built = build_network(network, 5, 203)
    built(torch.randn(3, 3, 203, 203)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in built.parameters())


def test_json_brings_it_back_and_the_hash_tells_it_apart():
    network = everything()
    assert Architecture.from_json(network.to_json()) == network
    plain = Head(hidden=24, activation="hard_swish")
    other = Architecture(network.stem, network.stages, plain)
    assert structural_hash(other) != structural_hash(network)
    assert "hidden_bias" not in other.to_json()
    # As it was before there was the setting.
    assert structural_hash(published("mobilenet_v3_small")) == MOBILENET_V3_SMALL


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_padding_is_tensorflows(kernel, stride):
    ours, theirs = TensorFlowConv2d(2, 3, kernel, stride), Conv2dSame(2, 3, kernel, stride)
    theirs.load_state_dict(ours.state_dict())
    for rows in range(1, 12):
        x = torch.randn(2, 2, rows, 13)
        assert torch.equal(ours(x), theirs(x))


def test_padding_is_tensorflows_in_every_cell_that_has_it():
    """At stride 2 and even maps it is behind alone, so that an edge in front counts for more."""
    for cell in ("conv", "separable", "inverted_residual", "fused_inverted_residual"):
        unit = build_block(block(cell, 8, 2, expansion=2, padding="tf_same"), 8)
        strided = [m for m in unit.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        assert [type(module) for module in strided] == [TensorFlowConv2d]


def test_padding_is_tensorflows_in_traced_and_exported_networks():
    stem = Stage((Block("conv", 8, 2, extra=(TF,)), Block("separable", 8, 2, 5, extra=(TF,))))
    network = build_network(Architecture(stem, ()), 4, 50).eval()
    images = torch.randn(2, 3, 50, 50).to(memory_format=torch.channels_last)
    expected = network(images)
    program = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.testing.assert_close(program.module()(images), expected)
    graph = torch.fx.symbolic_trace(network)
    for size in (50, 33):
        images = torch.randn(2, 3, size, size)
        torch.testing.assert_close(graph(images), network(images))


@pytest.mark.parametrize("cell", ["basic", "bottleneck", "preact_basic", "preact_bottleneck"])
def test_shortcuts_average_as_timms_do(cell):
    unit = build_block(block(cell, 24, 2, shortcut="avg"), 16).eval()
    preactivated = cell.startswith("preact")
    theirs = downsample_avg(16, 24, 1, 2, norm_layer=nn.Identity if preactivated else None).eval()
    weights = list(unit.shortcut.state_dict().values())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    x = torch.randn(2, 16, 7, 8)
    torch.testing.assert_close(unit.shortcut(x), theirs(x))
    assert isinstance(build_block(block(cell, 16, shortcut="avg"), 16).shortcut, nn.Identity)
    assert unit(x).shape == (2, 24, 4, 4)


def test_a_branch_may_be_activated_before_se():
    unit = build_block(block("basic", se=SE(r=4), branch="activated"), 16).eval()
    read = []
    unit.se.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    unit(torch.randn(2, 16, 8, 8))
    assert read[0].min() == 0
    assert read[0].max() > 0


def shapes(cell, channels, **settings):
    """Of its convolutions, and whether it has a shortcut."""
    unit = build_block(block(cell, channels, **settings), 8)
    found = [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in unit.modules()
             if isinstance(m, nn.Conv2d)]  # fmt: skip
    return found, unit.shortcut is not None


def test_units_of_inverted_residuals():
    inverted, fused = "inverted_residual", "fused_inverted_residual"
    assert shapes(inverted, 8) == ([(8, 8, 3), (8, 8, 1)], True)
    assert shapes(inverted, 8, expand="always")[0] == [(8, 8, 1), (8, 8, 3), (8, 8, 1)]
    assert shapes(inverted, 8, shortcut="none") == ([(8, 8, 3), (8, 8, 1)], False)
    assert shapes(fused, 12, kernel=5) == ([(8, 12, 5)], False)
    assert shapes(fused, 8) == ([(8, 8, 3)], True)
    assert shapes(fused, 8, project="always")[0] == [(8, 8, 3), (8, 8, 1)]
    assert shapes(fused, 8, expansion=3, shortcut="none") == ([(8, 24, 3), (24, 8, 1)], False)
    assert shapes(fused, 8, stride=2, expansion=3) == ([(8, 24, 3), (24, 8, 1)], False)


def test_a_dense_layer_puts_what_it_adds_behind_its_input():
    unit = build_block(block("dense_layer", 20, expansion=4, se=SE(r=2)), 16).eval()
    x = torch.randn(2, 16, 6, 6)
    y = unit(x.clone())
    assert torch.equal(y[:, :16], x)
    torch.testing.assert_close(y[:, 16:], unit.se(unit.tail(unit.head(x))))
    assert unit.se.reduce.in_features == 4
    assert [m.out_channels for m in unit.modules() if isinstance(m, nn.Conv2d)] == [16, 4]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (block("dense_layer", 16), "channels must be above the input's 16, not 16"),
        (block("dense_layer", 24, 2), "stride and groups must be 1, not 2 and 1"),
        (block("dense_transition", 24, groups=2), "groups must be 1, not 2"),
        (block("basic", shortcut="max"), "allowed: projection, avg"),
        (block("bottleneck", padding="tf_same"), "key 'padding' is not known"),
        (block("separable", padding="valid"), "allowed: same, tf_same"),
        (block("fused_inverted_residual", groups=3), "groups = 3 does not divide"),
        (block("inverted_residual", expand="never"), "allowed: where_wider, always"),
    ],
)
def test_what_a_cell_does_not_allow_is_said(made, said):
    with pytest.raises(InputError, match=said):
        build_block(made, 16)
