"""Every placement in every cell computes its equation, and gates the width that it says."""

import pytest
import torch

from search_space import SE, Block
from search_space.registry import names
from search_space.values import PLACEMENTS
from senet_nas.nn.network import build_block
from senet_nas.nn.placement import Unit

CELLS = names("senet_nas.nn.cells")
EQUATIONS = {
    "standard": lambda u, x: u.act(join(u, x, u.se(u.tail(u.head(x))))),
    "pre": lambda u, x: u.act(join(u, x, u.tail(u.head(u.se(x))))),
    "post": lambda u, x: u.se(u.act(join(u, x, u.tail(u.head(x))))),
    "identity": lambda u, x: u.act(together(u, u.se(u.shortcut(x)), u.tail(u.head(x)))),
    "conv3x3": lambda u, x: u.act(join(u, x, u.tail(u.se(u.head(x))))),
}
KEEP_WIDTH = ("max_pool", "norm_act")
WITHOUT_STRIDE = ("norm_act", "dense", "dense_layer")
GROWS = ("dense_layer",)
DROPS_THE_EDGE = ("dense_transition",)


def sides(cell, stride, *before):
    """Of the map that a cell makes of one with these sides."""
    if cell == "dense":
        return (1, 1)
    if cell in DROPS_THE_EDGE:
        return tuple(side // stride for side in before)
    return before if cell in WITHOUT_STRIDE else tuple(-(-side // stride) for side in before)


def join(unit, x, branch):
    return branch if unit.shortcut is None else together(unit, unit.shortcut(x), branch)


def together(unit, shortcut, branch):
    """A sum of what has the unit's width; parts of it are put one behind the other."""
    if shortcut.shape[1] + branch.shape[1] == unit.out_channels:
        return torch.cat([shortcut, branch], 1)
    return shortcut + branch


def make(cell, placement, stride, channels, in_channels=16):
    if cell in KEEP_WIDTH:
        channels = in_channels
    elif cell in GROWS:
        channels += in_channels
    stride = 1 if cell in WITHOUT_STRIDE else stride
    se = None if placement is None else SE(r=4, placement=placement)
    return build_block(Block(cell, channels, stride, expansion=0.5, se=se), in_channels).eval()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(("stride", "channels"), [(1, 16), (2, 16), (1, 24)])
def test_every_pair_builds_and_computes_its_equation(cell, placement, stride, channels):
    torch.manual_seed(0)
    unit = make(cell, placement, stride, channels)
    assert isinstance(unit, Unit)
    x = torch.randn(2, 16, 8, 8)
    y = unit(x.clone())
    assert y.shape == (2, unit.out_channels, *sides(cell, stride, 8, 8))
    if unit.se is None:
        assert placement == "identity"
        assert unit.shortcut is None
    else:
        torch.testing.assert_close(y, EQUATIONS[placement](unit, unit.entry(x.clone())))


@pytest.mark.parametrize(
    ("cell", "placement"),
    [(c, p) for c in CELLS for p in PLACEMENTS if make(c, p, 1, 16).se is not None],
)
def test_se_gets_gradients_and_changes_the_output(cell, placement):
    torch.manual_seed(0)
    unit = make(cell, placement, 1, 16)
    unit.se.reduce.bias.data.fill_(1)  # or else the one hidden unit of a narrow cell may be off
    x = torch.randn(2, 16, 8, 8)
    unit(x.clone()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in unit.se.parameters())
    before = unit(x.clone())
    unit.se.expand.bias.data += 1
    assert not torch.allclose(before, unit(x.clone()))


def test_widths_gated():
    widths = {place: make("bottleneck", place, 1, 32).se.reduce.in_features for place in PLACEMENTS}
    assert widths == {"standard": 32, "pre": 16, "post": 32, "identity": 32, "conv3x3": 16}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_takes_a_kernel_of_5_and_odd_maps(cell):
    channels = 24 if cell in GROWS else 16
    block = Block(cell, channels, 1 if cell in WITHOUT_STRIDE else 2, kernel=5, se=SE(r=4))
    maps = build_block(block, 16)(torch.randn(2, 16, 7, 9))
    assert maps.shape == (2, channels, *sides(cell, 2, 7, 9))


@pytest.mark.parametrize("cell", ["preact_basic", "preact_bottleneck"])
@pytest.mark.parametrize(
    ("channels", "extra", "shared"),
    [(16, (), False), (24, (), True), (16, (("preactivates", "both"),), True)],
)
def test_a_projection_reads_the_pre_activation_and_an_identity_may(cell, channels, extra, shared):
    """A branch of zeros leaves the shortcut: of x, or of relu(norm(x))."""
    torch.manual_seed(0)
    unit = build_block(Block(cell, channels, extra=extra), 16)
    for convolution in unit.tail.modules():
        if isinstance(convolution, torch.nn.Conv2d):
            convolution.weight.data.zero_()
    x = torch.randn(4, 16, 8, 8)
    normed = torch.nn.functional.batch_norm(x, None, None, training=True).relu()
    expected = unit.shortcut(normed if shared else x)
    torch.testing.assert_close(unit(x), expected)
    norms = [m for m in unit.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == (2 if cell == "preact_basic" else 3)  # one that both read, not two
