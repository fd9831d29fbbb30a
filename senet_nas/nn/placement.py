"""Where SE stands in a unit: each placement is one equation (arXiv 1709.01507, section 6.5).

A cell supplies four maps: `head` h (up to and including the spatial convolution with its norm
and activation), `tail` t (the projection back), `shortcut` s, and `act` a. g is the SE block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from search_space import Block
from senet_nas.nn.squeeze_excitation import SqueezeExcitation


class Unit(nn.Module):
    """y = a(s(x) + t(h(x))), x: (N, C_in, H, W), with SE where the block's value puts it.

    head_channels: the width between head and tail. shortcut: None for a unit without one, which
    then computes a(t(h(x))); the identity placement has nothing to gate there and means no SE.
    entry: what x passes before branch and shortcut part, as a pre-activation that both read.
    branch_channels, shortcut_channels: of what `join` puts together, where it isn't a sum.
    """

    def __init__(
        self,
        block: Block,
        in_channels: int,
        *,
        head: nn.Module,
        head_channels: int,
        tail: nn.Module | None = None,
        shortcut: nn.Module | None = None,
        act: nn.Module | None = None,
        entry: nn.Module | None = None,
        branch_channels: int | None = None,
        shortcut_channels: int | None = None,
    ):
        super().__init__()
        self.entry = entry or nn.Identity()
        self.head = head
        self.tail = tail or nn.Identity()
        self.shortcut = shortcut
        self.act = act or nn.Identity()
        self.out_channels = block.channels
        self.se: SqueezeExcitation | None = None
        self._equation: Callable[[Unit, Tensor], Tensor] = _plain
        if block.se is not None and not (block.se.placement == "identity" and shortcut is None):
            placement = PLACEMENTS[block.se.placement]
            widths = {
                "input": in_channels,
                "head": head_channels,
                "branch": branch_channels or block.channels,
                "shortcut": shortcut_channels or block.channels,
                "output": block.channels,
            }
            self.se = SqueezeExcitation(widths[placement.gates], block.se, in_channels)
            self._equation = placement.equation

    def forward(self, x: Tensor) -> Tensor:
        return self._equation(self, self.entry(x))

    def gate(self, x: Tensor) -> Tensor:
        """g(x)."""
        assert self.se is not None
        gated: Tensor = self.se(x)
        return gated

    def join(self, x: Tensor, branch: Tensor) -> Tensor:
        """s(x) and the branch together, or the branch alone in a unit without a shortcut."""
        return branch if self.shortcut is None else self.together(self.shortcut(x), branch)

    def together(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """The sum that the equations write as +; a cell may have another operation there."""
        return shortcut + branch


@dataclass(frozen=True)
class Placement:
    """equation: the unit's output for x. gates: whose width SE acts on: input, head, branch,
    shortcut or output."""

    equation: Callable[[Unit, Tensor], Tensor]
    gates: str


def _plain(unit: Unit, x: Tensor) -> Tensor:
    y: Tensor = unit.act(unit.join(x, unit.tail(unit.head(x))))
    return y


def _standard(unit: Unit, x: Tensor) -> Tensor:
    """a(s(x) + g(t(h(x))))"""
    y: Tensor = unit.act(unit.join(x, unit.gate(unit.tail(unit.head(x)))))
    return y


def _pre(unit: Unit, x: Tensor) -> Tensor:
    """a(s(x) + t(h(g(x))))"""
    y: Tensor = unit.act(unit.join(x, unit.tail(unit.head(unit.gate(x)))))
    return y


def _post(unit: Unit, x: Tensor) -> Tensor:
    """g(a(s(x) + t(h(x))))"""
    return unit.gate(_plain(unit, x))


def _identity(unit: Unit, x: Tensor) -> Tensor:
    """a(g(s(x)) + t(h(x)))"""
    assert unit.shortcut is not None
    y: Tensor = unit.act(unit.together(unit.gate(unit.shortcut(x)), unit.tail(unit.head(x))))
    return y


def _conv3x3(unit: Unit, x: Tensor) -> Tensor:
    """a(s(x) + t(g(h(x))))"""
    y: Tensor = unit.act(unit.join(x, unit.tail(unit.gate(unit.head(x)))))
    return y


PLACEMENTS = {
    "standard": Placement(_standard, "branch"),
    "pre": Placement(_pre, "input"),
    "post": Placement(_post, "output"),
    "identity": Placement(_identity, "shortcut"),
    "conv3x3": Placement(_conv3x3, "head"),
}
