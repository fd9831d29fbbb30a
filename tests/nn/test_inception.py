"""Inception modules and networks against timm, published counts, and Caffe's poolings."""

import numpy as np
import pytest
import timm
import torch
from test_cost import traced
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from weights import assert_equal_outputs, copy_in_order, with_drawn_norms

from search_space import SE, Architecture, Block, Decision, InputError, SearchSpace, Stage
from search_space import published as published_network
from search_space.staged import se_decision
from search_space.twins import network_key
from senet_nas import build_network, cost
from senet_nas.nn import SqueezeExcitation
from senet_nas.nn.branches import Pool
from senet_nas.nn.network import build_block

LEAST_SIZE = 75  # pixels, of Inception-ResNet-v2, also in Keras


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_bn_inception_has_the_published_counts():
    """Cadene's `bninception`, which is Caffe's, has 11,295,240 parameters with the biases that
    its convolutions have before their norms, and 2,032,600,064 MACs; the SE paper says 2.03 and
    2.04 G."""
    with torch.device("meta"):
        network = build_network(published_network("bn_inception"), 1000)
    biases = sum(module.out_channels for module in convolutions(network))
    found = cost(published_network("bn_inception"))
    assert found.params + biases == 11_295_240
    assert found.macs == 2_032_600_064
    gated = cost(published_network("se_bn_inception"))
    assert gated.macs == pytest.approx(2.04e9, rel=0.004)
    widths = (256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024)
    assert gated.params - found.params == sum(2 * c * (c // 16) + c + c // 16 for c in widths)


@pytest.mark.parametrize("size", [8, 28, 56])
def test_pooling_is_caffes_on_even_maps(size):
    x = torch.randn(2, 3, size, size + 2)
    assert torch.equal(Pool("max", 2)(x), nn.MaxPool2d(3, 2, ceil_mode=True)(x))
    assert torch.equal(Pool("max", 1)(x), nn.MaxPool2d(3, 1, 1)(x))
    assert torch.equal(Pool("padded_avg", 1)(x), nn.AvgPool2d(3, 1, 1)(x))
    inside = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    assert torch.equal(Pool("avg", 1)(x), inside(x))


@pytest.mark.parametrize("kind", ["max", "avg", "padded_avg"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_pooling_gives_maps_as_large_as_a_convolutions(kind, stride):
    convolution = nn.Conv2d(1, 1, 3, stride, 1)
    for height in range(1, 14):
        x = torch.randn(1, 1, height, 9)
        assert Pool(kind, stride)(x).shape == convolution(x).shape


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return with_drawn_norms(timm.create_model("inception_resnet_v2", num_classes=10))


@pytest.mark.parametrize("training", [False, True])
def test_inception_resnet_equals_timm_with_its_weights(theirs, training):
    """At the smallest images, and at a size which strides don't divide."""
    ours = build_network(published_network("inception_resnet_v2"), 10, LEAST_SIZE)
    copy_in_order(list(theirs.state_dict().values()), ours)
    for size in (LEAST_SIZE, 98):
        assert_equal_outputs(ours, theirs, torch.randn(3, 3, size, size), training)


def test_inception_resnet_costs_what_timms_does():
    with torch.device("meta"):
        theirs = timm.create_model("inception_resnet_v2").eval()
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            theirs(torch.empty(1, 3, 299, 299))
    found = cost(published_network("inception_resnet_v2"), 299)
    assert found.params == sum(p.numel() for p in theirs.parameters())
    assert found.macs == counter.get_total_flops() // 2


@pytest.mark.parametrize("name", ["se_bn_inception", "se_inception_resnet_v2"])
def test_cost_equals_a_full_trace(name):
    """At a size at which some maps are odd, and poolings reach over the edge."""
    network = published_network(name)
    assert cost(network, 107, 10) == traced(network, 107, 10)[0]


def test_images_too_small_for_convolutions_without_padding_are_refused_with_the_place():
    network = published_network("inception_resnet_v2")
    for count in (cost, lambda a, size: build_network(a, 10, size)):
        with pytest.raises(InputError, match=r"stages.2.blocks.0: does not take a map of 1088x2x2"):
            count(network, LEAST_SIZE - 1)
        with pytest.raises(InputError, match="total stride of 32"):
            count(network, 31)
    assert cost(network, LEAST_SIZE).macs > 0


def test_stride_stands_in_the_last_large_layer_of_each_branch():
    text = "1x1-4, 1x1-4 kxk-5, 1x1-4 1xk-5 kx1-6 1x1-7, max, avg 1x1-8"
    block = Block("inception", 40, 2, kernel=5, extra=(("branches", text),))
    module = build_block(block, 16)
    strides = [
        [layer.stride if isinstance(layer, Pool) else layer[0].stride[0] for layer in branch]
        for branch in module.head
    ]
    assert strides == [[2], [1, 2], [1, 1, 2, 1], [2], [2, 1]]
    sizes = [convolution.kernel_size for convolution in convolutions(module)]
    assert sizes == [(1, 1), (1, 1), (5, 5), (1, 1), (1, 5), (5, 1), (1, 1), (1, 1)]
    assert module(torch.randn(2, 16, 9, 7)).shape == (2, 40, 5, 4)


def test_convolutions_of_one_input_are_put_together_in_a_branch():
    """Figure 15 of arXiv 1602.07261, left: the second 1x1 is computed once."""
    branches = "1x1-4, 1x1-6 1x3-5+3x1-7"
    unit = build_block(Block("inception", 16, extra=(("branches", branches),)), 16)
    x = torch.randn(2, 16, 6, 6)
    first, (reduce, (wide, tall)) = unit.head
    reduced = reduce(x)
    expected = torch.cat([first(x), wide(reduced), tall(reduced)], 1)
    torch.testing.assert_close(unit(x), expected)
    assert [c.kernel_size for c in convolutions(unit)] == [(1, 1), (1, 1), (1, 3), (3, 1)]


def test_a_scaled_branch_is_gated_before_it_is_scaled():
    extra = (("scale", 0.25), ("last", "linear"))
    unit = build_block(Block("inception_residual", 16, se=SE(r=4), extra=extra), 16).eval()
    x = torch.randn(2, 16, 6, 6)
    branch = unit.tail(unit.head(x))
    torch.testing.assert_close(unit(x), x + 0.25 * unit.se(branch))


def extra(**settings):
    return {"extra": tuple(settings.items())}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (extra(branches="1x1-8, 3x3-9"), "give 17 channels, not 16"),
        (extra(branches="1x1-8, 3x3"), "layer '3x3' is not known"),
        (extra(branches="1x1-8, 2x3-8"), "'2x3-8' needs odd sizes"),
        (extra(branches="1x1-16, 3x3-0"), "a width of at least 1"),
        (extra(branches="1x1-16,"), "has no layers"),
        (extra(branches=16), "branches must be text, not 16"),
        (extra(branches="1x1-8, 1x3-4+3x-4"), "layer '3x-4' is not known"),
        ({"stride": 2, **extra(padding="valid", branches="1x1-8, 3x3-8")}, "must be of one size"),
        ({"groups": 3}, "groups = 3 does not divide"),
        ({"cell": "inception_residual", **extra(scale="half")}, "scale must be a number"),
        ({"cell": "inception_residual", **extra(scale=-1.0)}, "at least 0"),
        ({"cell": "inception_residual", **extra(last="relu")}, "allowed: activated, linear"),
    ],
)
def test_what_a_module_does_not_allow_is_said(settings, said):
    block = Block(**{"cell": "inception", "channels": 16} | settings)
    with pytest.raises(InputError, match=said):
        build_block(block, 16)


BRANCHES = (
    "1x1-8, 1x1-8 kxk-16, avg 1x1-8",
    "1x1-8, 1x1-8 1xk-8 kx1-8, 1x1-8 kxk-8 kxk-8, max 1x1-8",
)


def branching_space() -> SearchSpace:
    """An Inception module, a residual one and shuffle units, with SE as decisions."""
    placements = ("standard", "pre", "post", "identity", "conv3x3")
    decisions = (
        Decision("branches", BRANCHES),
        Decision("kernel", (3, 5)),
        Decision("shuffle", ("shuffle_v1", "shuffle_v2")),
        Decision("expansion", (0.5, 1.0)),
        *(
            se_decision(r=(2, 4), placement=placements, name=f"{unit}_se")
            for unit in ("inception", "residual", "down", "shuffle")
        ),
    )

    def build(choices) -> Architecture:
        kernel, expansion = choices["kernel"], choices["expansion"]
        branches = (("branches", choices["branches"]),)
        return Architecture(
            Stage((Block("conv", 16, 2),)),
            (
                Stage(
                    (
                        Block("inception", 32, kernel=kernel, se=choices["inception_se"],
                              extra=branches),
                        Block("inception_residual", 32, kernel=kernel, expansion=expansion,
                              se=choices["residual_se"]),
                    )
                ),
                Stage(
                    (
                        Block(choices["shuffle"], 48, 2, kernel, expansion,
                              se=choices["down_se"]),
                        Block(choices["shuffle"], 48, 1, kernel, expansion,
                              se=choices["shuffle_se"]),
                    )
                ),
            ),
        )  # fmt: skip

    return SearchSpace("branching", decisions, build, image_size=32, identify=network_key)


@pytest.mark.parametrize("seed", range(8))
def test_branching_units_are_searched_like_the_rest(seed):
    space = branching_space()
    rng = np.random.default_rng(seed)
    candidate = space.mutate(space.sample(rng), rng)
    architecture = space.build(candidate)
    assert Architecture.from_json(architecture.to_json()) == architecture
    network = build_network(architecture, 5, 19)
    assert cost(architecture, 19, 5) == traced(architecture, 19, 5)[0]
    nn.functional.cross_entropy(network(torch.randn(4, 3, 19, 19)), torch.arange(4)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    standing = [m.value for m in network.modules() if isinstance(m, SqueezeExcitation)]
    assert standing == [
        block.se
        for _, block in architecture.blocks()
        if block.se and not (block.cell == "inception" and block.se.placement == "identity")
    ]
