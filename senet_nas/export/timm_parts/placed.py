"""One block of ours as timm's are built from it: its settings by timm's names, and its SE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from search_space import SE, Block
from senet_nas.export.source.text import Call, Name
from senet_nas.nn.placement import Unit

Keywords = list[tuple[str, object]]

ACTIVATIONS = {
    "relu": Name("nn.ReLU"),
    "relu6": Name("nn.ReLU6"),
    "silu": Name("nn.SiLU"),
    "hard_swish": Name("nn.Hardswish"),
    "identity": Name("nn.Identity"),
}
ROUNDED_TO = 8  # timm's widths inside of blocks


class InexpressibleError(Exception):
    """What timm has no block for, in words."""


@dataclass(frozen=True)
class Placed:
    """One block of ours. module: its unit, whose SE and shortcut count as built."""

    block: Block
    in_channels: int
    module: Unit

    @property
    def extra(self) -> dict[str, object]:
        """The cell's own settings."""
        return dict(self.block.extra)

    @property
    def act(self) -> Name:
        """The activation's class."""
        return ACTIVATIONS[self.block.activation]

    @property
    def se(self) -> SE | None:
        """None too where SE would have nothing to gate."""
        return None if self.module.se is None else self.module.se.value

    def pads(self) -> int | str | None:
        """timm's padding of the spatial convolution, None where its usual one is ours."""
        block, setting = self.block, self.extra.get("padding", "same")
        if setting == "valid":
            return "valid"
        if setting == "tf_same" and block.stride > 1:
            return "same"
        usual = (block.stride - 1 + block.kernel - 1) // 2
        return None if usual == block.kernel // 2 else block.kernel // 2


def _se_keywords(placed: Placed, activation: str) -> Iterator[tuple[str, object]]:
    """SEModule's, but for the activation where it is that already."""
    se, module = placed.se, placed.module.se
    assert se is not None
    assert module is not None
    yield "rd_channels", module.reduce.out_features
    if se.activation != activation:
        yield "act_layer", ACTIVATIONS[se.activation]
    if se.excitation != "sigmoid":
        yield "gate_layer", se.excitation
    if not se.bias:
        yield "bias", False


def se_module(placed: Placed) -> Call:
    """SE by itself."""
    assert placed.module.se is not None
    channels = placed.module.se.expand.out_features
    return Call("SEModule", (channels,), tuple(_se_keywords(placed, "relu")))


def se_layer(placed: Placed) -> Call:
    """What makes a block's SE of its number of channels."""
    return Call("partial", (Name("SEModule"),), tuple(_se_keywords(placed, "relu")))


def mobile_se_layer(placed: Placed) -> Call:
    """The same for a block that gives its own activation to its SE."""
    assert placed.se is not None
    if placed.se.activation == placed.block.activation:
        keywords = tuple(_se_keywords(placed, placed.block.activation))
        return Call("partial", (Name("SEModule"),), keywords)
    if not placed.se.bias:
        raise InexpressibleError("SE without biases and with another activation than its block's")
    keywords = tuple(
        ("force_act_layer" if key == "act_layer" else key, value)
        for key, value in _se_keywords(placed, placed.block.activation)
    )
    return Call("partial", (Name("mobile.SqueezeExcite"),), keywords)
