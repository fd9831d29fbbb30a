"""What was read from another library's network: an architecture of ours, and for each layer that
has weights the one that it takes them from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from search_space import SE, Architecture, Block, Head, InputError, Stage
from search_space.values import NORM_EPS, Scalar
from senet_nas.nn.foreign.layers import Squeeze

# The maps of a `Unit` that have weights of their own.
MAPS = ("entry", "head", "tail", "shortcut")

Convention = tuple[float, str, int]  # an SE's r, base, divisor


@dataclass(frozen=True, eq=False)
class Part:
    """A block without its SE, and the modules that each of its maps takes weights from, in order.

    in_channels: of the block. squeeze: the SE block that stands at `placement`.
    """

    block: Block
    in_channels: int
    sources: Mapping[str, Sequence[nn.Module]]
    squeeze: Squeeze | None = None
    placement: str = "standard"


@dataclass(frozen=True, eq=False)
class Reading:
    """A network: its parts, and what stands between the last of them and the logits.

    hidden: the layer before the classifier and its activation. conventions: how the family
    writes an SE's hidden width.
    """

    stem: Sequence[Part]
    stages: Sequence[Sequence[Part]]
    classifier: nn.Module
    head: Sequence[Part] = ()
    hidden: tuple[nn.Module, str] | None = None
    dropout: float = 0.0
    conventions: Sequence[Convention] = field(default=((16, "own", 1), (16, "own", 8)))

    def parts(self) -> Iterator[Part]:
        """In the order of `Architecture.blocks`."""
        yield from self.stem
        for stage in self.stages:
            yield from stage
        yield from self.head

    def architecture(self) -> Architecture:
        """The value. Raises `InputError` for norms of which each adds another epsilon."""
        common = common_convention(self.parts(), self.conventions)

        def blocks(parts: Iterable[Part]) -> tuple[Block, ...]:
            return tuple(replace(part.block, se=se_value(part, common)) for part in parts)

        return Architecture(
            Stage(blocks(self.stem)),
            tuple(Stage(blocks(stage)) for stage in self.stages),
            self._head(blocks(self.head)),
            self._norm_eps(),
        )

    def _head(self, blocks: tuple[Block, ...]) -> Head:
        if self.hidden is None:
            return Head(blocks, dropout=self.dropout)
        layer, activation = self.hidden
        width, bias = layer.get_parameter("weight").shape[0], layer.bias is not None
        return Head(blocks, width, activation, self.dropout, bias)

    def _norm_eps(self) -> float:
        modules = [m for part in self.parts() for map_ in part.sources.values() for m in map_]
        found = {module.eps for module in modules if isinstance(module, nn.BatchNorm2d)}
        if len(found) > 1:
            raise InputError(f"batch norms with different eps are not expressible: {sorted(found)}")
        return found.pop() if found else NORM_EPS


def fits(part: Part, convention: Convention) -> bool:
    """Whether an SE so written has the hidden width that was found."""
    assert part.squeeze is not None
    r, base, divisor = convention
    se = SE(r=r, base=base, divisor=divisor)
    return se.hidden_channels(part.squeeze.channels, part.in_channels) == part.squeeze.hidden


def common_convention(parts: Iterable[Part], conventions: Sequence[Convention]) -> list[Convention]:
    """Conventions in the order in which to try them: first one that fits all of the network."""
    squeezed = [part for part in parts if part.squeeze is not None]
    usual = [
        *conventions,
        *((r, base, d) for d in (1, 8) for base in ("own", "input") for r in (16, 4, 8, 2, 32)),
    ]
    everywhere = [c for c in usual if all(fits(part, c) for part in squeezed)]
    return [*everywhere[:1], *usual]


def se_value(part: Part, conventions: Sequence[Convention]) -> SE | None:
    """The SE of a part by the first convention that fits, or else by the ratio itself.

    Raises `InputError` for a hidden width that is above the block's.
    """
    squeeze = part.squeeze
    if squeeze is None:
        return None
    base = max(squeeze.channels, part.in_channels)
    if squeeze.hidden > base:
        raise InputError(
            f"an SE that widens {base} channels to {squeeze.hidden} is not expressible"
        )
    name = "own" if base == squeeze.channels else "input"
    itself: Convention = (base / squeeze.hidden, name, 1)
    r, base_name, divisor = next((c for c in conventions if fits(part, c)), itself)
    return SE(
        r=r,
        placement=part.placement,
        excitation=squeeze.excitation,
        base=base_name,
        divisor=divisor,
        bias=squeeze.bias,
        activation=squeeze.activation,
    )


def differing(**settings: tuple[Scalar, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    """A block's extra settings: those whose value, the first, isn't the cell's default."""
    return tuple((name, value) for name, (value, default) in settings.items() if value != default)
