"""Blocks of our cells from the layers of another library's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from search_space import Block
from search_space.values import Scalar
from senet_nas.nn.foreign.layers import Layer, Reader, Squeeze
from senet_nas.nn.foreign.reading import Part, differing


def convolution(reader: Reader, layer: Layer, squeeze: Squeeze | None = None) -> Part:
    """The cell `conv`."""
    conv = layer.conv
    extra = differing(
        bias=(conv.bias is not None, False),
        norm=("none" if layer.norm is None else "batch", "batch"),
        padding=(layer.padding, "same"),
    )
    block = Block(
        "conv",
        conv.out_channels,
        layer.stride,
        _square(reader, layer),
        groups=conv.groups,
        activation=layer.activation,
        extra=extra,
    )
    return Part(block, conv.in_channels, {"head": layer.modules()}, squeeze)


def convolutions(reader: Reader, *modules: nn.Module | None) -> list[Part]:
    """Every layer of modules that run one after the other, as the cell `conv`."""
    return [convolution(reader, layer) for layer in reader.layers(*modules)]


def max_pool(reader: Reader, module: nn.Module, channels: int) -> Part:
    """The cell `max_pool`."""
    if not isinstance(module, nn.MaxPool2d):
        kind = type(module).__name__
        raise reader.error(module, f"{kind} is not expressible (allowed: max pooling)")
    size, stride = (_one(reader, module, v) for v in (module.kernel_size, module.stride))
    padding = _one(reader, module, module.padding)
    windows = {
        (size // 2, False): "padded",
        (0, True): "ceil",
        (0, False): "apart" if size == stride else "inside",
    }.get((padding, module.ceil_mode))
    even = size % 2 == 0 and windows != "apart"
    if windows is None or even or _one(reader, module, module.dilation) != 1:
        raise reader.error(module, f"{module} is not expressible")
    kernel = 3 if windows == "apart" else size
    extra = differing(windows=(windows, "padded"))
    return Part(Block("max_pool", channels, stride, kernel, extra=extra), channels, {})


def residual(
    reader: Reader,
    module: nn.Module,
    layers: Sequence[Layer],
    shortcut: Sequence[Layer],
    activation: str,
    squeeze: Squeeze | None = None,
    placement: str = "standard",
) -> Part:
    """The cell `basic` of two layers, `bottleneck` of three; activation: after the sum.

    shortcut: layers of the projection, none where it is the identity.
    """
    channels, in_channels = layers[-1].conv.out_channels, layers[0].conv.in_channels
    stride = 1
    for layer in layers:
        plain_norm(reader, layer)
        stride *= layer.stride
    same_activation(reader, layers[:-1], activation)
    same_activation(reader, layers[-1:], "identity")
    extra = _bottleneck_extra(reader, module, layers) if len(layers) == 3 else ()
    if len(layers) not in (2, 3):
        raise reader.error(module, f"a residual branch of {len(layers)} layers is not expressible")
    extra = (*extra, *projection_extra(reader, module, shortcut, stride, in_channels, channels))
    kernels = [_square(reader, layer) for layer in layers]
    spatial = layers[1] if len(layers) == 3 else layers[0]
    if len(layers) == 3 and (kernels[0], kernels[2]) != (1, 1):
        raise reader.error(module, f"kernels {kernels} are not expressible (allowed: 1, k, 1)")
    if len(layers) == 2 and (kernels[0] != kernels[1] or layers[1].stride != 1):
        raise reader.error(module, "two layers of other kernel, or stride 2 in the second")
    width = layers[-1].conv.in_channels
    block = Block(
        "basic" if len(layers) == 2 else "bottleneck",
        channels,
        stride,
        kernels[1],
        width / channels,
        spatial.conv.groups,
        activation,
        extra=extra,
    )
    sources = {
        "head": [m for layer in layers[:-1] for m in layer.modules()],
        "tail": layers[-1].modules(),
        "shortcut": [m for layer in shortcut for m in layer.modules()],
    }
    return Part(block, in_channels, sources, squeeze, placement)


def _bottleneck_extra(
    reader: Reader, module: nn.Module, layers: Sequence[Layer]
) -> tuple[tuple[str, Scalar], ...]:
    first, spatial, last = layers
    if last.stride > 1 or (first.stride > 1 and spatial.stride > 1):
        raise reader.error(module, "a stride of the last 1x1, or of two layers, is not expressible")
    divisor, rest = divmod(spatial.conv.out_channels, first.conv.out_channels)
    if rest or {first.conv.groups, last.conv.groups} != {1}:
        raise reader.error(module, "a wider first 1x1, or groups in a 1x1, are not expressible")
    at = "first" if first.stride > 1 else "kernel"
    return differing(stride_in=(at, "kernel"), first_divisor=(divisor, 1))


def projection_extra(
    reader: Reader,
    module: nn.Module,
    shortcut: Sequence[Layer],
    stride: int,
    in_channels: int,
    channels: int,
) -> tuple[tuple[str, Scalar], ...]:
    """Settings of a projection. Raises `InputError` where ours has none, or another one."""
    wanted = stride > 1 or in_channels != channels
    if len(shortcut) != int(wanted):
        raise reader.error(module, "its shortcut is not expressible")
    for layer in shortcut:
        kernel = _square(reader, layer)
        plain_norm(reader, layer)
        odd = kernel > 1 and (kernel != 3 or stride == 1)
        if odd or layer.stride != stride or layer.conv.groups > 1:
            raise reader.error(layer.conv, "this projection is not expressible")
        same_activation(reader, [layer], "identity")
        return differing(projection_kernel=(kernel, 1))
    return ()


def with_3x3_projections(stages: Sequence[Sequence[Part]]) -> list[list[Part]]:
    """The stages of a network some of whose projections are 3x3, with that setting in every
    bottleneck: where there is no stride it doesn't count."""
    blocks = [part.block for stage in stages for part in stage]
    setting = ("projection_kernel", 3)
    if not any(setting in block.extra for block in blocks):
        return [list(stage) for stage in stages]

    def alike(part: Part) -> Part:
        extra = tuple({*part.block.extra, setting})
        return replace(part, block=replace(part.block, extra=extra))

    return [[alike(part) for part in stage] for stage in stages]


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
        plain_norm(reader, layer)
    in_channels, width = layers[0].conv.in_channels, depthwise.conv.out_channels
    channels = last.conv.out_channels
    if not depthwise.conv.groups == depthwise.conv.in_channels == width:
        raise reader.error(depthwise.conv, "a convolution with few groups is not expressible here")
    for layer in (*expand, last):
        if layer.kernel != (1, 1) or layer.stride != 1 or layer.conv.groups != 1:
            raise reader.error(layer.conv, "only 1x1 without stride or groups is expressible here")
    if expand and width == in_channels:
        raise reader.error(module, "a 1x1 that doesn't expand is not expressible")
    same_activation(reader, expand, depthwise.activation)
    separable = last.activation != "identity"
    if separable:
        same_activation(reader, [last], depthwise.activation)
    keeps_shape = depthwise.stride == 1 and in_channels == channels
    if (separable and (expand or has_shortcut)) or (not separable and has_shortcut != keeps_shape):
        raise reader.error(module, "this shortcut, or this activation, is not expressible")
    block = Block(
        "separable" if separable else "inverted_residual",
        channels,
        depthwise.stride,
        _square(reader, depthwise),
        expansion=1.0 if separable else width / in_channels,
        activation=depthwise.activation,
    )
    sources = {
        "head": [m for layer in (*expand, depthwise) for m in layer.modules()],
        "tail": last.modules(),
    }
    return Part(block, in_channels, sources, squeeze, "conv3x3")


def stages_by_shape(parts: Sequence[Part]) -> list[list[Part]]:
    """A flat row of blocks as stages: one begins where the width or the resolution changes."""
    stages: list[list[Part]] = []
    for part in parts:
        if not stages or part.block.stride > 1 or part.block.channels != part.in_channels:
            stages.append([])
        stages[-1].append(part)
    return stages


def plain_norm(reader: Reader, layer: Layer) -> None:
    """Raise `InputError` for a convolution with biases, without a norm, or without padding."""
    if layer.norm is None or layer.conv.bias is not None or layer.padding != "same":
        if layer.kernel == (1, 1) and layer.norm is not None and layer.conv.bias is None:
            return
        problem = "biases, no norm or no padding are not expressible in this block"
        raise reader.error(layer.conv, problem)


def same_activation(reader: Reader, layers: Sequence[Layer], activation: str) -> None:
    """Raise `InputError` where a layer has another activation."""
    for layer in layers:
        if layer.activation != activation:
            problem = f"activation {layer.activation} is not expressible here"
            raise reader.error(layer.conv, f"{problem} (allowed: {activation})")


def _square(reader: Reader, layer: Layer) -> int:
    rows, columns = layer.kernel
    if rows != columns:
        raise reader.error(layer.conv, f"kernel {rows}x{columns} is not expressible here")
    return rows


def _one(reader: Reader, module: nn.Module, value: int | tuple[int, int]) -> int:
    first, second = (value, value) if isinstance(value, int) else value
    if first != second:
        raise reader.error(module, f"{value} is not expressible (allowed: a square)")
    return first
