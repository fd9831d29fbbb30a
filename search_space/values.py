"""Architectures as values: frozen, hashable, equal by content, JSON out and in without loss."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from search_space import checks
from search_space.errors import InputError

PLACEMENTS = ("standard", "pre", "post", "identity", "conv3x3")
SQUEEZES = ("avg", "max", "none")
EXCITATIONS = ("sigmoid", "hard_sigmoid", "tanh", "relu")
BASES = ("own", "input")
ACTIVATIONS = ("relu", "relu6", "silu", "hard_swish", "identity")

NORM_EPS = 1e-5

Scalar = str | int | float | bool


def round_channels(channels: float, divisor: int = 1, least: int | None = None) -> int:
    """Channels rounded to a multiple of `divisor`, never losing more than 10% (as in timm)."""
    rounded = max(least or divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@dataclass(frozen=True, slots=True)
class SE:
    """One Squeeze-and-Excitation block (arXiv 1709.01507, equations 2 to 4).

    r: reduction ratio, at least 1. placement: where it stands (section 6.5). squeeze: `none` is
    the paper's NoSqueeze (7.1). base: whether r divides the channels that SE acts on (`own`) or
    the block's input channels (`input`, as in MnasNet and EfficientNet). divisor: the hidden
    width is rounded to its multiples. activation: between the two layers. neutral: the gate of a
    zero is one (2σ, 1 + tanh, relu(1 + ·)) and starts there, so that SE can join a trained
    network without changing what it computes.
    """

    r: float = 16
    placement: str = "standard"
    squeeze: str = "avg"
    excitation: str = "sigmoid"
    base: str = "own"
    divisor: int = 1
    bias: bool = True
    activation: str = "relu"
    neutral: bool = False

    def __post_init__(self) -> None:
        checks.number("se.r", self.r, least=1)
        object.__setattr__(self, "r", float(self.r))  # equal values, equal text and hashes
        checks.choice("se.placement", self.placement, PLACEMENTS)
        checks.choice("se.squeeze", self.squeeze, SQUEEZES)
        checks.choice("se.excitation", self.excitation, EXCITATIONS)
        checks.choice("se.base", self.base, BASES)
        checks.integer("se.divisor", self.divisor, least=1)
        checks.boolean("se.bias", self.bias)
        checks.choice("se.activation", self.activation, ACTIVATIONS)
        checks.boolean("se.neutral", self.neutral)

    def hidden_channels(self, channels: int, input_channels: int) -> int:
        """Width between the two layers: the base's channels divided by r, rounded."""
        base = channels if self.base == "own" else input_channels
        return round_channels(base / self.r, self.divisor)

    def label(self) -> str:
        """What differs from the paper's block, in short: `r16`, `r8/pre/max`."""
        parts = [f"r{self.r:g}"]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "r" and value != field.default:
                named = field.name in ("base", "divisor", "bias", "activation", "neutral")
                parts.append(f"{field.name}={value}" if named else str(value))
        return "/".join(parts)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a network: a cell and what it is built with.

    channels: output channels. expansion: inner width over output width in a bottleneck, over
    input width in an inverted residual. extra: settings that only this cell knows, as sorted
    (name, value) pairs; in JSON they stand beside the others.
    """

    cell: str
    channels: int
    stride: int = 1
    kernel: int = 3
    expansion: float = 1.0
    groups: int = 1
    activation: str = "relu"
    se: SE | None = None
    extra: tuple[tuple[str, Scalar], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str):
            raise InputError(f"block.cell must be a name, not {self.cell!r}")
        checks.integer("block.channels", self.channels, least=1)
        checks.integer("block.stride", self.stride, least=1)
        checks.integer("block.kernel", self.kernel, least=1)
        checks.number("block.expansion", self.expansion, least=0.01)
        object.__setattr__(self, "expansion", float(self.expansion))
        checks.integer("block.groups", self.groups, least=1)
        checks.choice("block.activation", self.activation, ACTIVATIONS)
        if self.kernel % 2 == 0:
            raise InputError(f"block.kernel must be odd, not {self.kernel}")
        if self.se is not None and not isinstance(self.se, SE):
            raise InputError(f"block.se must be an SE or None, not {self.se!r}")
        object.__setattr__(self, "extra", _checked_extra(self.extra))


def _checked_extra(extra: tuple[tuple[str, Scalar], ...]) -> tuple[tuple[str, Scalar], ...]:
    own = {field.name for field in fields(Block)}
    names = [name for name, _ in extra]
    for name, value in extra:
        if name in own:
            raise InputError(f"block.extra: {name!r} is a setting of every block")
        if names.count(name) > 1:
            raise InputError(f"block.extra names {name!r} twice")
        finite = not isinstance(value, float) or math.isfinite(value)  # JSON has no others
        if not isinstance(value, str | int | float | bool) or not finite:
            raise InputError(f"block.{name} must be a string, number or boolean, not {value!r}")
    return tuple(sorted(extra))


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks in a row; by convention one resolution."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What follows the last stage: blocks, average pooling, an optional hidden layer, dropout,
    and the classifier. hidden: its width, 0 for none. hidden_bias: whether that layer has one."""

    blocks: tuple[Block, ...] = ()
    hidden: int = 0
    activation: str = "relu"
    dropout: float = 0.0
    hidden_bias: bool = True

    def __post_init__(self) -> None:
        checks.integer("head.hidden", self.hidden, least=0)
        checks.boolean("head.hidden_bias", self.hidden_bias)
        checks.choice("head.activation", self.activation, ACTIVATIONS)
        checks.below_one("head.dropout", self.dropout)
        object.__setattr__(self, "dropout", float(self.dropout))


@dataclass(frozen=True, slots=True)
class Architecture:
    """A whole network without its number of classes: stem, stages, head.

    norm_eps: what its batch norms add to the variance (1e-5; 1e-3 in TensorFlow's networks).
    """

    stem: Stage
    stages: tuple[Stage, ...]
    head: Head = Head()
    norm_eps: float = NORM_EPS

    def __post_init__(self) -> None:
        checks.number("norm_eps", self.norm_eps, least=0)
        object.__setattr__(self, "norm_eps", float(self.norm_eps))

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Every block in the order in which it runs, with its path (`stages.0.blocks.1`)."""
        for index, block in enumerate(self.stem.blocks):
            yield f"stem.blocks.{index}", block
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage.blocks):
                yield f"stages.{number}.blocks.{index}", block
        for index, block in enumerate(self.head.blocks):
            yield f"head.blocks.{index}", block

    def check_image_size(self, image_size: int) -> None:
        """Raise `InputError` where images of this side, in pixels, are smaller than the stride."""
        stride = math.prod(block.stride for _, block in self.blocks())
        if image_size < stride:
            raise InputError(
                f"image_size {image_size} is smaller than the network's total stride of {stride}"
            )

    def to_json(self, indent: int | None = None) -> str:
        """JSON text from which `from_json` makes an equal value."""
        data = {
            "stem": [block_to_data(block) for block in self.stem.blocks],
            "stages": [[block_to_data(b) for b in stage.blocks] for stage in self.stages],
            "head": {
                **_differing(self.head, skip=("blocks",)),
                "blocks": [block_to_data(block) for block in self.head.blocks],
            },
            **_differing(self, skip=("stem", "stages", "head")),
        }
        return json.dumps(data, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """The value that `to_json` wrote. Raises `InputError` naming the key at fault."""
        try:
            data = json.loads(text)
        except ValueError as error:  # no JSON, or more digits than Python reads
            raise InputError(f"not JSON: {error}") from None
        known = {field.name for field in fields(cls)}
        checks.keys("architecture", data, known, required=("stem", "stages"))
        head = dict(checks.mapping("head", data.get("head", {})))
        checks.keys("head", head, {field.name for field in fields(Head)})
        head["blocks"] = _blocks_from_data("head.blocks", head.get("blocks", []))
        stages = tuple(
            Stage(_blocks_from_data(f"stages.{n}", stage))
            for n, stage in enumerate(checks.list_of("stages", data["stages"]))
        )
        stem = Stage(_blocks_from_data("stem", data["stem"]))
        return cls(stem, stages, Head(**head), data.get("norm_eps", NORM_EPS))


def se_from_data(where: str, data: object) -> SE | None:
    """An SE value from parsed JSON or TOML: None, or a mapping of SE's fields."""
    if data is None:
        return None
    mapping = checks.mapping(where, data)
    checks.keys(where, mapping, {field.name for field in fields(SE)})
    return SE(**mapping)


def se_to_data(se: SE) -> dict[str, Any]:
    """The plain mapping that `se_from_data` reads; fields at their default are left out."""
    return {"r": se.r, **_differing(se)}


def block_to_data(block: Block) -> dict[str, Any]:
    """The plain mapping that stands for a block in JSON; defaults are left out."""
    data = {"cell": block.cell, "channels": block.channels}
    data |= _differing(block, skip=("cell", "channels", "se", "extra"))
    data |= dict(block.extra)
    if block.se is not None:
        data["se"] = se_to_data(block.se)
    return data


def _blocks_from_data(where: str, data: object) -> tuple[Block, ...]:
    return tuple(
        _block_from_data(f"{where}.{index}", entry)
        for index, entry in enumerate(checks.list_of(where, data))
    )


def _block_from_data(where: str, data: object) -> Block:
    given = dict(checks.mapping(where, data))
    for required in ("cell", "channels"):
        if required not in given:
            raise InputError(f"{where}: the key {required!r} is missing")
    known = {field.name for field in fields(Block)} - {"extra"}
    extra = tuple((key, given.pop(key)) for key in sorted(set(given) - known))
    given["se"] = se_from_data(f"{where}.se", given.get("se"))
    try:
        return Block(**given, extra=extra)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _differing(value: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        field.name: getattr(value, field.name)
        for field in fields(value)
        if field.name not in skip and getattr(value, field.name) != field.default
    }
