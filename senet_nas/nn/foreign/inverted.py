"""Blocks of inverted residuals, and what is like them, from the layers of another library's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from search_space import Block
from senet_nas.nn.foreign.layers import Layer, Reader, Squeeze
from senet_nas.nn.foreign.parts import plain_norm, same_activation, square
from senet_nas.nn.foreign.reading import Part, differing

PADDINGS = ("same", "tf_same")


def inverted_residual(
    reader: Reader,
    module: nn.Module,
    layers: Sequence[Layer],
    has_shortcut: bool,
    squeeze: Squeeze | None = None,
) -> Part:
    """The cell `inverted_residual`, or `separable` where an activation follows the last 1x1."""
    if len(layers) not in (2, 3):
        raise reader.error(module, f"a unit of {len(layers)} layers is not expressible")
    *expand, depthwise, last = layers
    for layer in layers:
        plain_norm(reader, layer, PADDINGS)
    in_channels, width = layers[0].conv.in_channels, depthwise.conv.out_channels
    channels = last.conv.out_channels
    if not depthwise.conv.groups == depthwise.conv.in_channels == width:
        raise reader.error(depthwise.conv, "a convolution with few groups is not expressible here")
    for layer in (*expand, last):
        _pointwise(reader, layer)
    same_activation(reader, expand, depthwise.activation)
    separable = last.activation != "identity"
    extra = differing(padding=(depthwise.padding, "same"))
    if separable:
        same_activation(reader, [last], depthwise.activation)
        if expand or has_shortcut:
            raise reader.error(module, "this shortcut, or this activation, is not expressible")
    else:
        always = bool(expand) and width == in_channels
        extra += differing(expand=("always" if always else "where_wider", "where_wider"))
        extra += _without_shortcut(reader, module, layers, has_shortcut)
    block = Block(
        "separable" if separable else "inverted_residual",
        channels,
        depthwise.stride,
        square(reader, depthwise),
        expansion=1.0 if separable else width / in_channels,
        activation=depthwise.activation,
        extra=extra,
    )
    sources = {
        "head": [m for layer in (*expand, depthwise) for m in layer.modules()],
        "tail": last.modules(),
    }
    return Part(block, in_channels, sources, squeeze, "conv3x3")


def fused_inverted_residual(
    reader: Reader,
    module: nn.Module,
    layers: Sequence[Layer],
    has_shortcut: bool,
    squeeze: Squeeze | None = None,
) -> Part:
    """The cell `fused_inverted_residual`, of a kxk and, where it expands, a 1x1."""
    if len(layers) not in (1, 2):
        raise reader.error(module, f"a unit of {len(layers)} layers is not expressible")
    first, *project = layers
    for layer in layers:
        plain_norm(reader, layer, PADDINGS)
    for layer in project:
        _pointwise(reader, layer)
        same_activation(reader, [layer], "identity")
    in_channels, width = first.conv.in_channels, first.conv.out_channels
    always = bool(project) and width == in_channels
    block = Block(
        "fused_inverted_residual",
        layers[-1].conv.out_channels,
        first.stride,
        square(reader, first),
        width / in_channels if project else 1.0,
        first.conv.groups,
        first.activation,
        extra=(
            *differing(padding=(first.padding, "same")),
            *differing(project=("always" if always else "where_expanded", "where_expanded")),
            *_without_shortcut(reader, module, layers, has_shortcut),
        ),
    )
    sources = {"head": first.modules(), "tail": [m for layer in project for m in layer.modules()]}
    return Part(block, in_channels, sources, squeeze, "conv3x3")


def _pointwise(reader: Reader, layer: Layer) -> None:
    if layer.kernel != (1, 1) or layer.stride != 1 or layer.conv.groups != 1:
        raise reader.error(layer.conv, "only 1x1 without stride or groups is expressible here")


def _without_shortcut(
    reader: Reader, module: nn.Module, layers: Sequence[Layer], has_shortcut: bool
) -> tuple[tuple[str, str], ...]:
    """The setting `shortcut`. Raises `InputError` for a shortcut that can't be."""
    stride = max(layer.stride for layer in layers)
    keeps_shape = stride == 1 and layers[0].conv.in_channels == layers[-1].conv.out_channels
    if has_shortcut and not keeps_shape:
        raise reader.error(module, "a shortcut to another shape is not expressible")
    return (("shortcut", "none"),) if keeps_shape and not has_shortcut else ()
