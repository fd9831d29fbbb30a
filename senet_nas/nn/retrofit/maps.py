"""Which nodes of a graph are feature maps (N, C, H, W), and which of those an SE gates already."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from senet_nas.nn.retrofit.calls import Call
from senet_nas.nn.retrofit.layers import is_activation, passes_through
from senet_nas.nn.retrofit.tracing import Trace


class Layout(Enum):
    """What a node holds, as far as it can be told without shapes."""

    CHANNELS_FIRST = auto()
    CHANNELS_LAST = auto()
    POOLED = auto()  # one value a channel
    OTHER = auto()


WHOLE_MAP = 4  # pixels a side
POOLINGS = {"mean", "amax", "sum", "max"}
ADAPTIVE = {"adaptive_avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool1d"}
MIXING = {"size", "getattr", "matmul", "bmm", "einsum"}
RESHAPES = {"expand_as", "view_as", "reshape_as", "type_as"}
PRODUCTS = {operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply"}
POINTWISE = {
    *(F.relu, torch.relu, torch.relu_, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish),
    *(F.hardswish, F.dropout, F.dropout2d, "relu", "relu_", "contiguous", "clone"),
}


def node_layouts(trace: Trace) -> dict[fx.Node, Layout]:
    """The layout of each node, told by the operations that lead to it."""
    layouts: dict[fx.Node, Layout] = {}
    for node in trace.graph.nodes:
        given = [layouts[operand] for operand in node.all_input_nodes]
        if node.op == "placeholder":
            layouts[node] = Layout.CHANNELS_FIRST
        elif node.op == "call_module":
            name = str(node.target)
            layouts[node] = _after_module(trace.modules[name], trace.calls[name], given)
        else:
            layouts[node] = _after_function(node, given)
    return layouts


def _after_module(module: nn.Module, call: Call, given: list[Layout]) -> Layout:
    name = type(module).__name__.lower()
    came = given[0] if given else Layout.OTHER
    if "permute" in name:
        return _permuted(list(getattr(module, "dims", ())), came)
    if isinstance(module, nn.Linear) and came is Layout.CHANNELS_FIRST:
        return Layout.CHANNELS_LAST
    one_value = all(side == 1 for side in (call.output_shape or ())[2:])
    if one_value and ("adaptive" in name or _is_whole_map(module, call) or came is Layout.OTHER):
        return Layout.POOLED
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and came is not Layout.POOLED:
        return Layout.CHANNELS_FIRST
    return came


def _is_whole_map(module: nn.Module, call: Call) -> bool:
    """Whether what reduces its input to one pixel is a pooling of the whole map, or a convolution
    that stands for one, and not just a layer with a stride on a small map."""
    sides = (call.input_shape or ())[2:]
    if not sides or max(sides) == 1:
        return False
    kernel = getattr(module, "kernel_size", None)
    return kernel is None or max(np.ravel(kernel)) >= max(*sides, WHOLE_MAP)


def _after_function(node: fx.Node, given: list[Layout]) -> Layout:
    """What an operation makes of its operands: of maps and gates together, maps."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name in MIXING or not given:
        return Layout.OTHER
    if name == "permute":
        dims = node.args[1:]
        flat = dims[0] if len(dims) == 1 and isinstance(dims[0], list | tuple) else dims
        return _permuted(list(flat), given[0])
    if _pools(node, name, given):
        return Layout.POOLED
    if name in RESHAPES:
        return given[0]
    ranked = (Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST, Layout.POOLED)
    return next((layout for layout in ranked if layout in given), Layout.OTHER)


def _pools(node: fx.Node, name: str, given: list[Layout]) -> bool:
    """Whether an operation leaves one value a channel, or one a row."""
    if name in POOLINGS:
        axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", ())
        named = set(axes) if isinstance(axes, list | tuple) else {axes}
        spatial = {1, 2} if given[0] is Layout.CHANNELS_LAST else {2, 3}
        return bool(named) and named <= spatial | {axis - 4 for axis in spatial}
    if name in ADAPTIVE:
        size = node.args[1] if len(node.args) > 1 else node.kwargs.get("output_size")
        return size in (1, (1, 1), [1, 1])
    return name == "avg_pool2d" and len(given) > 1  # its kernel is the map's size


def _permuted(dims: list[Any], came: Layout) -> Layout:
    turned = {
        (0, 2, 3, 1): {Layout.CHANNELS_FIRST: Layout.CHANNELS_LAST},
        (0, 3, 1, 2): {Layout.CHANNELS_LAST: Layout.CHANNELS_FIRST},
    }
    return turned.get(tuple(dims), {}).get(came, came)


def gated_nodes(trace: Trace, layouts: Mapping[fx.Node, Layout]) -> set[fx.Node]:
    """Where the model has an SE of its own: the product of maps and gates that come from them,
    and what is so multiplied."""
    found: set[fx.Node] = set()
    for node in trace.graph.nodes:
        if node.target in PRODUCTS and layouts[node] is Layout.CHANNELS_FIRST:
            operands = node.all_input_nodes
            if any(layouts[operand] is Layout.POOLED for operand in operands):
                found.add(node)
                maps = next(o for o in operands if layouts[o] is Layout.CHANNELS_FIRST)
                found.update(before_pointwise(trace, maps))
    return found


def before_pointwise(trace: Trace, node: fx.Node) -> list[fx.Node]:
    """The node, and those that it is a pointwise function of."""
    row = [node]
    while row[-1].all_input_nodes and is_pointwise(trace, row[-1]):
        row.append(row[-1].all_input_nodes[0])
    return row


def is_pointwise(trace: Trace, node: fx.Node) -> bool:
    """An activation, dropout or the identity, as a module or as a function."""
    module = trace.called(node)
    return node.target in POINTWISE or is_activation(module) or passes_through(module)
