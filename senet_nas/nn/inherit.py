"""Weights of a trained network given to a child of another architecture, so that it goes on from
what the parent computes, exactly where `search_space.inheritance.preserves` says so.

Wider: the parent's channels come first, nothing of it reads the new ones (Net2Net, arXiv
1511.05641, with zeros for copies). A larger kernel is padded with zeros (arXiv 1603.01670). A
deeper stage's new block starts with a branch of zero (arXiv 1706.02677, section 5.1). SE that joins
starts with the same gate for every input, one where it is neutral; else the linear layer before or
behind it makes up for the gate. What has no place in the child is left out, what has no counterpart
keeps its initial weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from search_space import Architecture, Blueprint
from search_space.inheritance import counterparts
from senet_nas.nn.network import Network, build_network
from senet_nas.nn.placement import Unit
from senet_nas.nn.squeeze_excitation import EXCITATIONS, SqueezeExcitation

# The bias with which a gate is the same for all inputs and still learns: one half for all but
# relu, whose gate is one. Sigmoids have it at zero, where their slope is largest.
BIASES = {"sigmoid": 0.0, "hard_sigmoid": 0.0, "tanh": 0.5493061443340549, "relu": 1.0}
PARTS = ("entry", "head", "tail", "shortcut")

Layer = nn.Conv2d | nn.BatchNorm2d | nn.Linear
KINDS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)


@torch.no_grad()
def inherit(child: nn.Module, parent: Blueprint, weights: Mapping[str, Tensor]) -> nn.Module:
    """The child with what fits of a parent's weights. parent: their architecture.

    Networks that senet-nas builds are matched block by block, others by the names and shapes of
    their parameters. Both have the same classes.
    """
    if not isinstance(child, Network) or not isinstance(parent, Architecture):
        state = child.state_dict()
        fitting = {n: t for n, t in weights.items() if n in state and state[n].shape == t.shape}
        child.load_state_dict({**state, **fitting})
        return child
    classes = [*child.state_dict().values()][-1].shape[0]
    with torch.device("meta"):
        structure = build_network(parent, classes, 2**31)
    old = _Parent(structure, weights)
    for path, path_before in counterparts(child.architecture, parent).items():
        block = child.get_submodule(_module_path(path))
        if path_before is None:
            _silence(block)
        else:
            _take_block(block, structure.get_submodule(_module_path(path_before)), old)
    _take_part(child.classifier, structure.classifier, old)
    return child


class _Parent:
    """The parent's layers, on the meta device, and the weights that belong to each."""

    def __init__(self, structure: nn.Module, weights: Mapping[str, Tensor]) -> None:
        self._names = {module: name for name, module in structure.named_modules()}
        self._weights = weights

    def tensors(self, layer: nn.Module) -> dict[str, Tensor]:
        """A layer's own weights and buffers by their name in it."""
        prefix = self._names[layer]
        return {name: self._weights[f"{prefix}.{name}"] for name in layer.state_dict()}


def _module_path(path: str) -> str:
    """`stages.0.blocks.1` to `stages.0.1`."""
    return path.replace(".blocks.", ".")


def _take_block(block: nn.Module, before: nn.Module, old: _Parent) -> None:
    if not isinstance(block, Unit) or not isinstance(before, Unit):
        if type(block) is type(before):
            _take_part(block, before, old)
        return
    for name in PARTS:
        part, part_before = getattr(block, name), getattr(before, name)
        if part is not None and part_before is not None:
            _take_part(part, part_before, old)
    if block.se is not None and before.se is not None:
        _take_layer(block.se.reduce, old.tensors(before.se.reduce))
        _take_layer(block.se.expand, old.tensors(before.se.expand))
    elif block.se is not None:
        gate = join(block.se)
        _scale_around(block, block.se, 1 / gate)
    elif before.se is not None and not before.se.value.neutral:
        _scale_around(block, before.se, 0.5)  # about what gates are in the mean


def join(se: SqueezeExcitation) -> float:
    """Give SE the same gate for every input, from which it learns; the gate."""
    se.mirror()
    if se.value.neutral:
        return 1.0
    excitation = se.value.excitation
    bias = BIASES[excitation] if se.value.bias else 0.0
    if se.expand.bias is not None:
        se.expand.bias.fill_(bias)
    gate = float(EXCITATIONS[excitation](torch.tensor(bias)))
    return gate or 1.0  # a gate of zero, which tanh and relu have without a bias, stays


def _scale_around(block: Unit, se: SqueezeExcitation, factor: float) -> None:
    """Scale the linear layer next to where SE stands, where there is one."""
    if factor == 1:
        return
    layer, whole = {
        "standard": (_last(block.tail), True),
        "conv3x3": (_first(block.tail), False),
        "pre": (_first(block.head), False),
        "identity": (_last(block.shortcut), True),
        "post": (None, False),
    }[se.value.placement]
    if layer is None:
        return
    layer.weight.mul_(factor)
    if whole and layer.bias is not None:
        layer.bias.mul_(factor)


def _silence(block: nn.Module) -> None:
    """Let the branch of a new block give zero: the last layer that scales it starts at zero."""
    if not isinstance(block, Unit) or block.shortcut is None:
        return
    last = _last(block.tail) or _last(block.head)
    if last is not None:
        last.weight.zero_()
        if last.bias is not None:
            last.bias.zero_()


def _take_part(part: nn.Module, before: nn.Module, old: _Parent) -> None:
    """Layers of the same kind, counted from the end: an expansion stands before the others."""
    pairs = zip(reversed([*_layers(part)]), reversed([*_layers(before)]), strict=False)
    for layer, layer_before in pairs:
        if any(isinstance(layer, k) and isinstance(layer_before, k) for k in KINDS):
            _take_layer(layer, old.tensors(layer_before))


def _take_layer(layer: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in layer.state_dict().items():
        if name in tensors:
            _place(tensor, tensors[name].to(tensor.device))


def _place(into: Tensor, tensor: Tensor) -> None:
    """Put a layer's tensor among the first outputs and inputs of another, in the middle of its
    kernel; zeros for what else these outputs read."""
    if into.ndim == 0:
        into.copy_(tensor)
        return
    outputs = min(len(into), len(tensor))
    if into.ndim == 1:
        into[:outputs] = tensor[:outputs]
        return
    inputs = min(into.shape[1], tensor.shape[1])
    into[:outputs] = 0
    here, there = [slice(outputs), slice(inputs)], [slice(outputs), slice(inputs)]
    for size, size_before in zip(into.shape[2:], tensor.shape[2:], strict=True):
        taken = min(size, size_before)
        here.append(_middle(size, taken))
        there.append(_middle(size_before, taken))
    into[tuple(here)] = tensor[tuple(there)]


def _middle(size: int, taken: int) -> slice:
    start = (size - taken) // 2
    return slice(start, start + taken)


def _layers(part: nn.Module) -> Iterator[Layer]:
    """The layers with weights of their own, in order."""
    return (module for module in part.modules() if isinstance(module, KINDS))


def _first(part: nn.Module) -> Layer | None:
    return next(_layers(part), None)


def _last(part: nn.Module | None) -> Layer | None:
    return None if part is None else [None, *_layers(part)][-1]
