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
    "identity": lambda u, x: u.act(u.se(u.shortcut(x)) + u.tail(u.head(x))),
    "conv3x3": lambda u, x: u.act(join(u, x, u.tail(u.se(u.head(x))))),
}


def join(unit, x, branch):
    return branch if unit.shortcut is None else unit.shortcut(x) + branch


def make(cell, placement, stride, channels, in_channels=16):
    if cell == "max_pool":
        channels = in_channels
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
    assert y.shape == (2, unit.out_channels, 8 // stride, 8 // stride)
    if unit.se is None:
        assert placement == "identity"
        assert unit.shortcut is None
    else:
        torch.testing.assert_close(y, EQUATIONS[placement](unit, x.clone()))


@pytest.mark.parametrize(
    ("cell", "placement"),
    [(c, p) for c in CELLS for p in PLACEMENTS if make(c, p, 1, 16).se is not None],
)
def test_se_gets_gradients_and_changes_the_output(cell, placement):
    torch.manual_seed(0)
    unit = make(cell, placement, 1, 16)
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
    block = Block(cell, 16, 2, kernel=5, se=SE(r=4))
    assert build_block(block, 16)(torch.randn(2, 16, 7, 9)).shape == (2, 16, 4, 5)
