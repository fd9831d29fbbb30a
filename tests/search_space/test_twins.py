"""Which architectures are the same network, against the modules that are built of them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from drawn import architectures
from hypothesis import given

from search_space import SE, Architecture, Block, Head, Stage, load, network_key, space_names
from search_space.twins import width_over_input, width_over_output
from senet_nas.nn.network import build_block
from senet_nas.nn.squeeze_excitation import SqueezeExcitation

LIKE = {"r": 1, "base": "own", "divisor": 1}  # what counts by the hidden width alone


def network(se, channels=16, cell="basic"):
    return Architecture(
        Stage((Block("conv", 8),)), (Stage((Block(cell, channels, expansion=2, se=se),)),)
    )


def same(first, second, **arguments):
    return network_key(network(first), **arguments) == network_key(network(second), **arguments)


@pytest.mark.parametrize("placement", ["standard", "post", "identity"])
def test_the_hidden_width_counts_and_not_how_it_is_written(placement):
    def se(r, **fields):
        return SE(r=r, placement=placement, **fields)

    def alike(first, second):
        return same(first, second, head_width=width_over_output)

    assert alike(se(16), se(32))  # 16 channels
    assert not alike(se(8), se(16))
    assert alike(se(2), se(4, divisor=8))
    assert alike(se(8), se(4, base="input"))  # 8 channels


def test_where_cells_may_put_branches_side_by_side_nothing_is_taken_for_equal():
    for placement in ("standard", "identity"):
        assert not same(SE(16, placement), SE(32, placement))
    assert same(SE(16, "post"), SE(32, "post"))


def test_before_the_branch_the_input_is_gated():
    assert same(SE(8, "pre"), SE(16, "pre"))
    assert not same(SE(4, "pre"), SE(8, "pre"))


def test_after_the_3x3_the_width_is_the_cells_to_say():
    inside = [SE(r, "conv3x3") for r in (16, 32, 64)]
    assert not same(*inside[1:])
    assert same(*inside[1:], head_width=width_over_output)  # 2 x 16 channels
    assert not same(*inside[:2], head_width=width_over_output)
    assert same(*inside[:2], head_width=width_over_input)  # 2 x 8
    assert same(*(replace(se, base="input") for se in inside[1:]))


@pytest.mark.parametrize(
    "other",
    [
        None,
        SE(placement="post"),
        SE(squeeze="max"),
        SE(excitation="tanh"),
        SE(bias=False),
        SE(activation="silu"),
        SE(neutral=True),
    ],
)
def test_all_else_of_an_se_counts(other):
    assert not same(SE(), other)


def test_se_on_a_shortcut_that_is_not_there_is_none():
    def is_none(cell, channels):
        with_se, without = (network(se, channels, cell) for se in (SE(placement="identity"), None))
        return network_key(with_se) == network_key(without)

    assert is_none("conv", 8)
    assert is_none("inverted_residual", 16)
    assert not is_none("inverted_residual", 8)  # as wide as its input
    assert not is_none("basic", 16)  # its shortcut is a projection


@given(architectures)
def test_division_into_stages_does_not_count_and_the_head_does(architecture):
    divided = tuple(Stage((block,)) for stage in architecture.stages for block in stage.blocks)
    key = network_key(architecture)
    assert network_key(replace(architecture, stages=divided)) == key
    wider = Head(architecture.head.blocks, architecture.head.hidden + 1)
    assert network_key(replace(architecture, head=wider)) != key
    longer = Stage((*architecture.stem.blocks, Block("conv", 3)))
    assert network_key(replace(architecture, stem=longer)) != key


@cache
def gate(block, input_channels):
    """What is built of a block's SE."""
    with torch.device("meta"):
        built = build_block(block, input_channels).modules()
    for module in built:
        if isinstance(module, SqueezeExcitation):
            return module.reduce.in_features, module.reduce.out_features, replace(block.se, **LIKE)
    return None


def built(architecture):
    blocks = [block for _, block in architecture.blocks()]
    widths = [3, *(block.channels for block in blocks)]
    gates = [gate(block, width) for block, width in zip(blocks, widths, strict=False)]
    return gates, [replace(block, se=None) for block in blocks]


def with_another_r(space, candidate):
    """Candidates that differ from one in the r of one SE block."""
    for position, (decision, number) in enumerate(zip(space.decisions, candidate, strict=True)):
        own = decision.options[number]
        for index, other in enumerate(decision.options):
            if isinstance(own, SE) and isinstance(other, SE) and replace(own, r=other.r) == other:
                yield (*candidate[:position], index, *candidate[position + 1 :])


@pytest.mark.parametrize("name", space_names())
def test_candidates_have_one_key_exactly_where_what_is_built_is_the_same(name):
    space = load(name)
    rng = np.random.default_rng(0)
    twins = 0
    for _ in range(10):
        candidate = space.sample(rng)
        others = {
            *with_another_r(space, candidate),
            *(space.mutate(candidate, rng) for _ in "1234"),
        }
        for other in others - {candidate}:
            is_same = built(space.build(other)) == built(space.build(candidate))
            assert (space.key(other) == space.key(candidate)) == is_same
            twins += is_same
    # Elsewhere each r is another width.
    assert twins or name not in ("cifar_residual", "imagenet_mobile")
