"""ShuffleNets against torchvision, the papers' figures written out, and their arithmetic."""

import itertools

import pytest
import torch
import torch.nn.functional as F
import torchvision
from test_cost import traced
from torch import nn
from weights import assert_equal_outputs, copy_in_order, with_drawn_norms

from search_space import SE, Block, InputError, published
from senet_nas import build_network, cost
from senet_nas.nn import SqueezeExcitation
from senet_nas.nn.branches import ChannelShuffle
from senet_nas.nn.network import build_block

WIDTHS = {
    "shufflenet_v2_x0_5": "shufflenet_v2_x0_5",
    "shufflenet_v2": "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5": "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0": "shufflenet_v2_x2_0",
}


def in_our_order(state: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """A unit of theirs has its shortcut (branch1) before its branch, ours behind."""
    ordered = []
    for _, unit in itertools.groupby(state.items(), lambda item: item[0].split(".")[:2]):
        ordered += [tensor for _, tensor in sorted(unit, key=lambda item: ".branch1." in item[0])]
    return ordered


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("training", [False, True])
def test_v2_equals_torchvision_with_its_weights(name, training):
    torch.manual_seed(0)
    theirs = with_drawn_norms(getattr(torchvision.models, WIDTHS[name])(num_classes=10))
    ours = build_network(published(name), 10, 64)
    copy_in_order(in_our_order(theirs.state_dict()), ours)
    for size in (64, 75):
        assert_equal_outputs(ours, theirs, torch.randn(4, 3, size, size), training)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_shuffle_is_torchs(groups):
    x = torch.randn(2, 12, 3, 5)
    assert torch.equal(ChannelShuffle(groups)(x), nn.ChannelShuffle(groups)(x))


@pytest.mark.parametrize(("stride", "channels"), [(1, 24), (2, 48)])
def test_v1_unit_computes_figures_2b_and_2c(stride, channels):
    torch.manual_seed(0)
    block = Block("shuffle_v1", channels, stride, expansion=0.25, groups=3)
    unit = with_drawn_norms(build_block(block, 24)).eval()
    convolutions = [m for m in unit.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in unit.modules() if isinstance(m, nn.BatchNorm2d)]
    inner = channels // 4
    assert [c.weight.shape for c in convolutions] == [
        (inner, 8, 1, 1),
        (inner, 1, 3, 3),
        (channels - 24 if stride == 2 else 24, inner // 3, 1, 1),
    ]
    x = torch.randn(2, 24, 10, 9)
    first, depthwise, last = (c.weight for c in convolutions)
    y = F.relu(norms[0](F.conv2d(x, first, groups=3)))
    n, _, h, w = y.shape
    y = y.reshape(n, 3, inner // 3, h, w).transpose(1, 2).reshape(n, inner, h, w)
    y = norms[1](F.conv2d(y, depthwise, stride=stride, padding=1, groups=inner))
    y = norms[2](F.conv2d(y, last, groups=3))
    joined = x + y if stride == 1 else torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1)
    torch.testing.assert_close(unit(x), F.relu(joined))


@pytest.mark.parametrize(("channels", "size"), [(240, 28), (480, 14), (960, 7)])
def test_v1_unit_costs_what_section_3_2_says(channels, size):
    """hw(2cm/g + 9m) multiply-adds, of c channels and m in the bottleneck."""
    block = Block("shuffle_v1", channels, expansion=0.25, groups=3)
    counter = torch.utils.flop_counter.FlopCounterMode(display=False)
    with torch.device("meta"), counter:
        build_block(block, channels)(torch.empty(1, channels, size, size))
    inner = channels // 4
    expected = size**2 * (2 * channels * inner // 3 + 9 * inner)
    assert counter.get_total_flops() // 2 == expected


def test_v1_has_the_papers_counts():
    """140M and 142M; 1.8M and 2.4M parameters, which the SE paper cuts off and doesn't round: with
    SE on the units' outputs instead of on their branches there would be 2.59M."""
    plain, gated = cost(published("shufflenet_v1")), cost(published("se_shufflenet_v1"))
    assert plain.macs == pytest.approx(140e6, rel=0.02)
    assert gated.macs - plain.macs < 2e6
    assert [found.params // 100_000 for found in (plain, gated)] == [18, 24]


def test_v1_groups_the_first_1x1_of_all_units_but_the_first():
    network = build_network(published("shufflenet_v1"), 10, 32)
    units = [unit for stage in network.stages for unit in stage]
    assert [unit.head[0][0].groups for unit in units] == [1] + 15 * [3]
    assert [len(stage) for stage in network.stages] == [4, 8, 4]


def test_se_acts_on_the_branch_before_it_is_put_together():
    network = build_network(published("se_shufflenet_v1"), 10, 32)
    gated = [m.reduce.in_features for m in network.modules() if isinstance(m, SqueezeExcitation)]
    assert gated == [216, *[240] * 4, *[480] * 8, *[960] * 3]
    for placement, width in {"standard": 24, "pre": 16, "post": 40, "identity": 16}.items():
        block = Block("shuffle_v1", 40, 2, groups=2, se=SE(r=4, placement=placement))
        assert build_block(block, 16).se.reduce.in_features == width


@pytest.mark.parametrize("name", ["se_shufflenet_v1", "se_shufflenet_v2"])
@pytest.mark.parametrize("size", [224, 107])
def test_cost_equals_a_full_trace(name, size):
    assert cost(published(name), size) == traced(published(name), size, 1000)[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cell": "shuffle_v1", "channels": 8}, "channels must be at least the input's 16"),
        ({"cell": "shuffle_v1", "groups": 3}, "groups = 3 does not divide"),
        ({"cell": "shuffle_v1", "extra": (("first", 1),)}, "allowed: grouped, dense"),
        ({"cell": "shuffle_v2", "channels": 17}, "channels must be even, not 17"),
        ({"cell": "shuffle_v2", "groups": 2}, "groups must be 1"),
        ({"cell": "shuffle_v2", "extra": (("first", "dense"),)}, "key 'first' is not known"),
    ],
)
def test_what_a_unit_does_not_allow_is_said(settings, said):
    with pytest.raises(InputError, match=said):
        build_block(Block(**{"channels": 16} | settings), 16)
