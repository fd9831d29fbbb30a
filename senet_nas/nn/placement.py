"""Where SE stands in a unit: each placement is one equation (arXiv 1709.01507, section 6.5).

A cell supplies four maps: `head` h (up to and including the spatial convolution with its norm
and activation), `tail` t (the projection back), `shortcut` s, and `act` a. g is the SE block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from search_space import Block
from senet_nas.nn.fused.pending import PuttingOff, value_of
from senet_nas.nn.fused.switch import serves
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
        self._widths = {
            "input": in_channels,
            "head": head_channels,
            "branch": branch_channels or block.channels,
            "shortcut": shortcut_channels or block.channels,
            "output": block.channels,
        }
        self.se: SqueezeExcitation | None = None
        self._equation: Callable[[Maps, Any], Any] = _plain
        width = None if block.se is None else self.gated_width(block.se.placement)
        if block.se is not None and width is not None:
            self.stand(SqueezeExcitation(width, block.se, in_channels))

    def gated_width(self, placement: str) -> int | None:
        """The channels that SE acts on at a placement; None where there is nothing to gate."""
        if placement == "identity" and self.shortcut is None:
            return None
        return self._widths[PLACEMENTS[placement].gates]

    def stand(self, se: SqueezeExcitation | None) -> None:
        """Let an SE block stand where its value puts it, or none, in place of what stood there."""
        self.se = se
        self._equation = _plain if se is None else PLACEMENTS[se.value.placement].equation

    def forward(self, x: Tensor) -> Tensor:
        if serves(x):
            maps = PuttingOff(self)
            return value_of(self._equation(maps, maps.entry(x)))
        y: Tensor = self._equation(self, self.entry(x))
        return y

    @property
    def adds(self) -> bool:
        """Whether `together` is the sum that the equations write."""
        return type(self).together is Unit.together and "together" not in vars(self)

    def gated_everywhere(
        self, x: Tensor, gates: Mapping[str, Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """All placements at once: what each of these maps, by the name of its placement, makes of
        what it gates. Where all but one are the identity, this is that one's equation."""

        def gate(name: str, y: Tensor) -> Tensor:
            return gates[name](y) if name in gates else y

        x = self.entry(x)
        branch = gate("conv3x3", self.head(gate("pre", x)))
        branch = gate("standard", self.tail(branch))
        if self.shortcut is not None:
            branch = self.together(gate("identity", self.shortcut(x)), branch)
        return gate("post", self.act(branch))

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


class Maps(Protocol):
    """A unit as its equation sees it: over tensors, or over what `senet_nas.nn.fused` puts off."""

    @property
    def head(self) -> Callable[[Any], Any]: ...
    @property
    def tail(self) -> Callable[[Any], Any]: ...
    @property
    def shortcut(self) -> Callable[[Any], Any] | None: ...
    @property
    def act(self) -> Callable[[Any], Any]: ...
    def gate(self, x: Any) -> Any: ...
    def join(self, x: Any, branch: Any) -> Any: ...
    def together(self, shortcut: Any, branch: Any) -> Any: ...


@dataclass(frozen=True)
class Placement:
    """equation: the unit's output for x. gates: whose width SE acts on: input, head, branch,
    shortcut or output."""

    equation: Callable[[Maps, Any], Any]
    gates: str


def _plain(unit: Maps, x: Any) -> Any:
    return unit.act(unit.join(x, unit.tail(unit.head(x))))


def _standard(unit: Maps, x: Any) -> Any:
    """a(s(x) + g(t(h(x))))"""
    return unit.act(unit.join(x, unit.gate(unit.tail(unit.head(x)))))


def _pre(unit: Maps, x: Any) -> Any:
    """a(s(x) + t(h(g(x))))"""
    return unit.act(unit.join(x, unit.tail(unit.head(unit.gate(x)))))


def _post(unit: Maps, x: Any) -> Any:
    """g(a(s(x) + t(h(x))))"""
    return unit.gate(_plain(unit, x))


def _identity(unit: Maps, x: Any) -> Any:
    """a(g(s(x)) + t(h(x)))"""
    assert unit.shortcut is not None
    return unit.act(unit.together(unit.gate(unit.shortcut(x)), unit.tail(unit.head(x))))


def _conv3x3(unit: Maps, x: Any) -> Any:
    """a(s(x) + t(g(h(x))))"""
    return unit.act(unit.join(x, unit.tail(unit.gate(unit.head(x)))))


PLACEMENTS = {
    "standard": Placement(_standard, "branch"),
    "pre": Placement(_pre, "input"),
    "post": Placement(_post, "output"),
    "identity": Placement(_identity, "shortcut"),
    "conv3x3": Placement(_conv3x3, "head"),
}
