"""What part a layer plays in a cell, so that variants of the cell can share its weights, and which
part of the shared weights a variant has.

A variant has the first channels and the middle of the kernel (Cai et al. 2020, Once-for-All, arXiv
1908.09791, figure 3, without its kernel transformation; Yu et al. 2020, BigNAS, arXiv 2003.11142).
A convolution in groups has the blocks on the diagonal of the dense one: what a group reads and
gives lies in the same range of channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import Tensor, nn

LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
Layer = nn.Conv2d | nn.BatchNorm2d | nn.Linear
Shape = tuple[int, ...]


def roles(module: nn.Module) -> dict[str, Layer]:
    """A module's layers with weights by what they are to it.

    A role is a child's name, a kind of layer, and its number counted from the child's end: an
    expansion, where there is one, stands before the others. SE has roles of its own, elsewhere.
    """
    found: dict[str, Layer] = {}
    for name, child in module.named_children():
        if name == "se":
            continue
        counts: Counter[str] = Counter()
        for layer in reversed([*_layers(child)]):
            kind = _kind(layer)
            found[f"{name}_{kind}_{counts[kind]}"] = layer
            counts[kind] += 1
    return found


def _layers(module: nn.Module) -> Iterator[Layer]:
    return (child for child in module.modules() if isinstance(child, LAYERS))


def _kind(layer: Layer) -> str:
    if isinstance(layer, nn.Conv2d):
        return "conv"
    return "norm" if isinstance(layer, nn.BatchNorm2d) else "linear"


def is_depthwise(layer: Layer) -> bool:
    """Whether it is a convolution that reads each channel alone."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels


def tensors(layer: Layer) -> dict[str, Tensor]:
    """A layer's parameters and buffers by name, without those that it lacks."""
    own = {**layer._parameters, **layer._buffers}
    return {name: tensor for name, tensor in own.items() if tensor is not None}


def shared_shape(layer: Layer, name: str, depthwise: bool) -> Shape:
    """The shape of a layer's tensor among shared weights: that of the dense convolution where it
    has groups, unless it is depthwise in all variants."""
    shape = tuple(tensors(layer)[name].shape)
    if isinstance(layer, nn.Conv2d) and name == "weight" and not depthwise:
        return shape[0], layer.in_channels, *shape[2:]
    return shape


def part_for(layer: Layer, name: str, shared: Tensor, depthwise: bool) -> Tensor:
    """The part of a shared tensor that is a layer's: a view of it, but for groups.

    depthwise: whether the layer is so in all variants that share it.
    """
    if not shared.ndim:
        return shared
    shape = shared_shape(layer, name, depthwise)
    index: list[slice] = [slice(length) for length in shape[:2]]
    for length, available in zip(shape[2:], shared.shape[2:], strict=True):
        start = (available - length) // 2
        index.append(slice(start, start + length))
    part = shared if shape == tuple(shared.shape) else shared[tuple(index)]
    if isinstance(layer, nn.Conv2d) and name == "weight" and not depthwise:
        return _diagonal(part, layer.groups)
    return part


def _diagonal(weight: Tensor, groups: int) -> Tensor:
    """(O, I, K, K) to the (O, I / groups, K, K) of a convolution in groups."""
    if groups == 1:
        return weight
    outputs, inputs = weight.shape[0] // groups, weight.shape[1] // groups
    blocks = weight.reshape(groups, outputs, groups, inputs, *weight.shape[2:])
    return blocks.diagonal(dim1=0, dim2=2).movedim(-1, 0).flatten(0, 1)
