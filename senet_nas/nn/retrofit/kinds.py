"""The places that the structure of a network offers to SE: behind residual branches, blocks and
depthwise convolutions (arXiv 1709.01507, sections 3.3 and 6.5)."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import fx, nn

from senet_nas.nn.retrofit.calls import CHILD
from senet_nas.nn.retrofit.layers import (
    CONTAINERS,
    is_activation,
    is_depthwise,
    is_norm,
    is_spatial,
    is_weight_layer,
    passes_through,
)
from senet_nas.nn.retrofit.maps import PRODUCTS, Layout, gated_nodes, is_pointwise, node_layouts
from senet_nas.nn.retrofit.tracing import Trace

SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}


@dataclass(frozen=True)
class Structure:
    """A trace, with what each node holds, and the nodes at which an SE stands already."""

    trace: Trace
    layouts: dict[fx.Node, Layout]
    gated: set[fx.Node]

    @classmethod
    def of(cls, trace: Trace) -> Structure:
        layouts = node_layouts(trace)
        gated = gated_nodes(trace, layouts)
        for node, names in trace.yields.items():
            if any(hasattr(trace.modules[name], CHILD) for name in names):
                gated.add(node)
        return cls(trace, layouts, gated)

    def place_at(self, node: fx.Node) -> str | None:
        """The innermost module whose output is this node, where SE may stand on it."""
        if self.layouts[node] is not Layout.CHANNELS_FIRST or node in self.gated:
            return None
        for name in self.trace.yields.get(node, ()):
            iterates = isinstance(self.trace.modules[name], CONTAINERS)
            if name and not iterates and self.trace.calls[name].fault() is None:
                return name
        return None


Found = Iterator[tuple[fx.Node, str]]


def branches(structure: Structure) -> Found:
    """What is added to a shortcut: of the two operands the one with more layers of its own (more
    spatial ones, where they have equally many), or both where they don't differ."""
    trace = structure.trace
    above = _Ancestors(trace.graph)
    inputs = above.of(node for node in above if node.op == "placeholder")
    layers = above.of(node for node in above if is_weight_layer(trace.called(node)))
    spatial = above.of(node for node in above if is_spatial(trace.called(node)))
    for node in trace.graph.nodes:
        operands = list(node.all_input_nodes)
        if node.target not in SUMS or len(operands) != 2:
            continue
        shared = above[operands[0]] & above[operands[1]]
        own = [above[operand] & ~shared for operand in operands]
        depths = [((o & layers).bit_count(), (o & spatial).bit_count()) for o in own]
        if not shared & inputs or max(depths) == (0, 0):
            continue
        for operand, depth in zip(operands, depths, strict=True):
            if depth == max(depths):
                yield from _end_of_branch(structure, operand, lambda n: bool(above[n] & inputs))


def _end_of_branch(
    structure: Structure, node: fx.Node, depends: Callable[[fx.Node], bool]
) -> Found:
    """Back through what only passes on or scales, to the innermost module that can be a place."""
    found: tuple[fx.Node, str] | None = None
    while True:
        if node in structure.gated:
            return
        place = structure.place_at(node)
        found = (node, place) if place else found
        passes = passes_through(structure.trace.called(node))
        before = [operand for operand in node.all_input_nodes if depends(operand)]
        scaled = node.target in PRODUCTS and len(before) == 1
        function = found is None and is_pointwise(structure.trace, node)
        if not before or not (passes or scaled or function):
            break
        node = before[0]
    if found:
        yield found


def blocks(structure: Structure) -> Found:
    """Behind each block, or in a network without blocks behind each convolution with its norm and
    activation."""
    names = _innermost_blocks(structure.trace)
    ends = {name: node for node, row in structure.trace.yields.items() for name in row}
    found = False
    for name in names:
        if name in ends and structure.trace.calls[name].fault() is None:
            node = ends[name]
            if structure.layouts[node] is Layout.CHANNELS_FIRST:
                found = True
                if node not in structure.gated:
                    yield node, name
    if not found:
        yield from _ends_of_convolutions(structure, lambda module: isinstance(module, nn.Conv2d))


def _innermost_blocks(trace: Trace) -> list[str]:
    """Modules of several weight layers, a spatial convolution among them, that hold no such."""
    names = [
        name
        for name, module in trace.modules.items()
        if name and not isinstance(module, CONTAINERS) and _is_block(module)
    ]
    return [name for name in names if not any(other.startswith(f"{name}.") for other in names)]


def _is_block(module: nn.Module) -> bool:
    layers = [inner for inner in module.modules() if is_weight_layer(inner)]
    return len(layers) > 1 and any(is_spatial(layer) for layer in layers)


def depthwise(structure: Structure) -> Found:
    """Behind each depthwise convolution with its norm and activation."""
    yield from _ends_of_convolutions(structure, is_depthwise)


def _ends_of_convolutions(
    structure: Structure, wanted: Callable[[nn.Module | None], bool]
) -> Found:
    trace = structure.trace
    for node in trace.graph.nodes:
        if not wanted(trace.called(node)):
            continue
        row = [node]
        for follows in (is_norm, is_activation):
            users = list(row[-1].users)
            if len(users) == 1 and follows(trace.called(users[0])):
                row.append(users[0])
        if any(end in structure.gated for end in row):
            continue
        places = ((end, structure.place_at(end)) for end in reversed(row))
        yield from itertools.islice(((end, place) for end, place in places if place), 1)


class _Ancestors(dict[fx.Node, int]):
    """For each node a set of nodes as bits: itself and all that it depends on."""

    def __init__(self, graph: fx.Graph):
        super().__init__()
        self._bits = {node: 1 << number for number, node in enumerate(graph.nodes)}
        for node in graph.nodes:
            bits = self._bits[node]
            for operand in node.all_input_nodes:
                bits |= self[operand]
            self[node] = bits

    def of(self, nodes: Iterable[fx.Node]) -> int:
        """The set of these nodes alone."""
        return sum(self._bits[node] for node in nodes)


FINDERS: dict[str, Callable[[Structure], Found]] = {
    "branch": branches,
    "block": blocks,
    "depthwise": depthwise,
}
