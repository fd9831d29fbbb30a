"""What a network costs: parameters, MACs, activations.

Each distinct block is traced once on torch's meta device with torch's own counter, and memoised
by (block, input shape); an architecture's cost is a sum of look-ups and equals a full trace.
"FLOPs" in papers are these multiply-adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from search_space import SE, Architecture, Block, Blueprint, InputError, Retrofit

if TYPE_CHECKING:
    from torch import Tensor, nn

Map = tuple[int, int, int]  # channels, height, width
COSTS = ("params", "macs", "activations", "latency_ms")
IN_MILLIONS = ("params", "macs", "activations")  # as they are shown


@dataclass(frozen=True, slots=True)
class Cost:
    """params: learnable parameters. macs: multiply-adds of convolutions and linear layers for
    one image. activations: elements that these layers write for one image."""

    params: int
    macs: int
    activations: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.macs + other.macs,
            self.activations + other.activations,
        )


def cost(architecture: Blueprint, image_size: int = 224, num_classes: int = 1000) -> Cost:
    """The cost of a network for one image of (3, image_size, image_size).

    Raises `InputError` for an architecture that can't be built.
    """
    if isinstance(architecture, Retrofit):
        return _retrofit_cost(architecture, image_size, num_classes)
    total = Cost(0, 0, 0)
    for part in cost_by_part(architecture, image_size, num_classes):
        total += part.cost
    return total


@dataclass(frozen=True, slots=True)
class PartCost:
    """What one part of a network costs. path: of a block (`stages.0.blocks.1`), `classifier`, or of
    a retrofitted network `source` and the places of its SE. before, after: the shapes of its input
    and output, without the batch axis; None where the part is somebody else's network."""

    path: str
    cost: Cost
    before: tuple[int, ...] | None
    after: tuple[int, ...] | None


def cost_by_part(
    architecture: Blueprint, image_size: int = 224, num_classes: int = 1000
) -> Iterator[PartCost]:
    """What each block costs, in the order in which they run, and last the classifier; of a
    retrofitted network its source, then each SE. Their sum is `cost`. Raises as `cost` does."""
    if isinstance(architecture, Retrofit):
        yield from _retrofit_parts(architecture, image_size, num_classes)
        return
    architecture.check_image_size(image_size)
    shape = (3, image_size, image_size)
    for path, block in architecture.blocks():
        before = shape
        try:
            counted, shape = block_cost(block, shape)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        yield PartCost(path, counted, before, shape)
    head = architecture.head
    classifier = classifier_cost(head.hidden, head.hidden_bias, shape[0], num_classes)
    yield PartCost("classifier", classifier, shape[:1], (num_classes,))


@cache
def block_cost(block: Block, shape: Map) -> tuple[Cost, Map]:
    """What a block that reads (C, H, W) costs, and the shape that it writes. Raises `InputError`
    where it can't be built for that shape."""
    bare = block if block.se is None else replace(block, se=None)
    plain, after, gated = _traced_block(bare, shape)
    if block.se is None:
        return plain, after
    if gated is None:  # its cell is no Unit, and says itself what SE is there
        return _traced_block(block, shape)[:2]
    there = gated.get(block.se.placement)
    return plain if there is None else plain + _gate_cost(block.se, there, shape[0]), after


@cache
def _traced_block(block: Block, shape: Map) -> tuple[Cost, Map, dict[str, Map] | None]:
    """Cost and output of a block, and of a Unit without SE the shape that SE reads by placement."""
    import torch

    from senet_nas.nn.network import build_block, refusals
    from senet_nas.nn.placement import PLACEMENTS, Unit

    with torch.device("meta"):
        module = build_block(block, shape[0])
    with refusals(shape):
        if not isinstance(module, Unit) or block.se is not None:
            return *trace(module, shape), None
        gated: dict[str, Map] = {}

        def seen(placement: str, x: Tensor) -> Tensor:
            _, channels, height, width = x.shape
            gated[placement] = channels, height, width
            return x

        gates = {name: partial(seen, name) for name in PLACEMENTS}
        return *trace(module, shape, run=partial(module.gated_everywhere, gates=gates)), gated


@cache
def classifier_cost(hidden: int, hidden_bias: bool, width: int, num_classes: int) -> Cost:
    """What the classifier behind the average over a map of so many channels costs."""
    import torch

    from search_space import Head, Stage
    from senet_nas.nn.network import build_classifier

    with torch.device("meta"):
        head = Architecture(Stage(()), (), Head(hidden=hidden, hidden_bias=hidden_bias))
        module = build_classifier(head, width, num_classes)
    return trace(module, (width,))[0]


def _retrofit_cost(value: Retrofit, image_size: int, num_classes: int) -> Cost:
    total = Cost(0, 0, 0)
    for part in _retrofit_parts(value, image_size, num_classes):
        total += part.cost
    return total


def _retrofit_parts(value: Retrofit, image_size: int, num_classes: int) -> Iterator[PartCost]:
    source, shapes = _source_cost(value.source, image_size, num_classes)
    yield PartCost("source", source, None, None)
    for place, se in value.gates:
        if place not in shapes:
            raise InputError(f"{value.source} has no module {place!r} that SE can stand behind")
        yield PartCost(place, _gate_cost(se, shapes[place]), shapes[place], shapes[place])


@cache
def _source_cost(
    source: str, image_size: int, num_classes: int
) -> tuple[Cost, dict[str, tuple[int, int, int]]]:
    """The cost of somebody else's network, and the shape of each module's output that SE can
    stand behind."""
    import torch

    from senet_nas.nn.foreign.source import load_source
    from senet_nas.nn.retrofit.calls import record_calls

    # Computed, not traced on the meta device: others' code may look at its tensors.
    model = load_source(source, num_classes, "random").model
    calls = record_calls(model, torch.zeros(1, 3, image_size, image_size))
    shapes = {}
    for name, call in calls.items():
        if call.fault() is None and call.output_shape is not None:
            _, channels, height, width = call.output_shape
            shapes[name] = channels, height, width
    return trace(model, (3, image_size, image_size), "cpu")[0], shapes


@cache
def _gate_cost(se: SE, shape: Map, block_channels: int | None = None) -> Cost:
    """block_channels: of what the block reads that it stands in."""
    import torch

    from senet_nas.nn import SqueezeExcitation

    with torch.device("meta"):
        module = SqueezeExcitation(shape[0], se, block_channels)
    return trace(module, shape)[0]


def trace(
    module: nn.Module,
    shape: tuple[int, ...],
    device: str = "meta",
    run: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Cost, Any]:
    """The cost of any module on a device for one input of `shape` (without the batch axis), and
    its output's shape. run: what of the module computes, itself if not given."""
    import torch

    from senet_nas.counting import Counting

    counting = Counting()
    module.eval()
    # Inference mode would hide from `counting` which operations a layer is made of.
    with torch.inference_mode(False), torch.no_grad(), counting:
        output = (run or module)(torch.zeros(1, *shape, device=device))
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return Cost(params, counting.macs, counting.written), tuple(output.shape[1:])
