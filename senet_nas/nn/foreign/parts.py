"""Blocks of our cells from the layers of another library's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        square(reader, layer),
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
        (0, True): "apart_ceil" if size == stride else "ceil",
        (0, False): "apart" if size == stride else "inside",
    }.get((padding, module.ceil_mode))
    apart = windows in ("apart", "apart_ceil")
    even = size % 2 == 0 and not apart
    if windows is None or even or _one(reader, module, module.dilation) != 1:
        raise reader.error(module, f"{module} is not expressible")
    kernel = 3 if apart else size
    extra = differing(windows=(windows, "padded"))
    return Part(Block("max_pool", channels, stride, kernel, extra=extra), channels, {})


@dataclass(frozen=True, eq=False)
class Shortcut:
    """What a shortcut has: layers, none where it is the identity, and before them the stride of
    an average, 1 where there is none."""

    layers: Sequence[Layer] = ()
    averaged: int = 1

    def modules(self) -> list[nn.Module]:
        """What has weights."""
        return [module for layer in self.layers for module in layer.modules()]


def shortcut(reader: Reader, *modules: nn.Module | None) -> Shortcut:
    """The shortcut of modules that run one after the other, the first of which may average."""
    flat: list[nn.Module | None] = []
    for module in modules:
        flat += module.children() if isinstance(module, nn.Sequential) else [module]
    first, *rest = flat
    if not isinstance(first, nn.AvgPool2d):
        return Shortcut(reader.layers(first, *rest))
    size, stride = (_one(reader, first, value) for value in (first.kernel_size, first.stride))
    plain = (_one(reader, first, first.padding), first.divisor_override) == (0, None)
    # Without padding a window over the edge counts what is inside, whatever count_include_pad.
    if size != stride or not plain or not first.ceil_mode:
        raise reader.error(first, f"{first} is not expressible")
    return Shortcut(reader.layers(*rest), stride)


def residual(
    reader: Reader,
    module: nn.Module,
    layers: Sequence[Layer],
    around: Shortcut,
    activation: str,
    squeeze: Squeeze | None = None,
    placement: str = "standard",
) -> Part:
    """The cell `basic` of two layers, `bottleneck` of three; activation: after the sum.

    A `basic` branch may end with its activation too.
    """
    channels, in_channels = layers[-1].conv.out_channels, layers[0].conv.in_channels
    stride = 1
    for layer in layers:
        plain_norm(reader, layer)
        stride *= layer.stride
    same_activation(reader, layers[:-1], activation)
    if len(layers) == 3:
        same_activation(reader, layers[-1:], "identity")
        extra = _bottleneck_extra(reader, module, layers)
    elif len(layers) == 2:
        activated = layers[-1].activation != "identity"
        same_activation(reader, layers[-1:], activation if activated else "identity")
        extra = differing(branch=("activated" if activated else "linear", "linear"))
    else:
        raise reader.error(module, f"a residual branch of {len(layers)} layers is not expressible")
    extra = (*extra, *projection_extra(reader, module, around, stride, in_channels, channels))
    kernels = [square(reader, layer) for layer in layers]
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
        "shortcut": around.modules(),
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
    around: Shortcut,
    stride: int,
    in_channels: int,
    channels: int,
) -> tuple[tuple[str, Scalar], ...]:
    """Settings of a projection. Raises `InputError` where ours has none, or another one."""
    wanted = stride > 1 or in_channels != channels
    layers = around.layers
    if len(layers) != int(wanted):
        raise reader.error(module, "its shortcut is not expressible")
    if not wanted:
        return ()
    (layer,) = layers
    kernel = square(reader, layer)
    plain_norm(reader, layer)
    averaged = around.averaged > 1
    odd = kernel > 1 and (kernel != 3 or stride == 1 or averaged)
    if odd or layer.stride * around.averaged != stride or layer.conv.groups > 1:
        raise reader.error(layer.conv, "this projection is not expressible")
    if averaged and layer.stride > 1:
        raise reader.error(layer.conv, "a stride behind an average is not expressible")
    same_activation(reader, [layer], "identity")
    return differing(
        projection_kernel=(kernel, 1), shortcut=("avg" if averaged else "projection", "projection")
    )


def with_alike_projections(stages: Sequence[Sequence[Part]]) -> list[list[Part]]:
    """The stages of a network whose projections with a stride all are 3x3, or all average, with
    that setting in every block of their cell: where there is no stride it doesn't count."""
    blocks = [part.block for stage in stages for part in stage]
    strided = [block for block in blocks if block.stride > 1]
    alike = {
        setting
        for setting in (("projection_kernel", 3), ("shortcut", "avg"))
        if strided and all(setting in block.extra for block in strided)
    }

    def changed(part: Part) -> Part:
        extra = tuple(alike.union(part.block.extra))
        return replace(part, block=replace(part.block, extra=extra))

    return [[changed(part) for part in stage] for stage in stages]


def stages_by_shape(parts: Sequence[Part]) -> list[list[Part]]:
    """A flat row of blocks as stages: one begins where the width or the resolution changes."""
    stages: list[list[Part]] = []
    for part in parts:
        if not stages or part.block.stride > 1 or part.block.channels != part.in_channels:
            stages.append([])
        stages[-1].append(part)
    return stages


def plain_norm(reader: Reader, layer: Layer, paddings: Sequence[str] = ("same",)) -> None:
    """Raise `InputError` for a convolution with biases, without a norm, or with other padding."""
    padded = layer.padding in paddings or layer.kernel == (1, 1)
    if layer.norm is None or layer.conv.bias is not None or not padded:
        problem = f"biases, no norm or padding that isn't {' or '.join(paddings)} are not"
        raise reader.error(layer.conv, f"{problem} expressible in this block")


def same_activation(reader: Reader, layers: Sequence[Layer], activation: str) -> None:
    """Raise `InputError` where a layer has another activation."""
    for layer in layers:
        if layer.activation != activation:
            problem = f"activation {layer.activation} is not expressible here"
            raise reader.error(layer.conv, f"{problem} (allowed: {activation})")


def square(reader: Reader, layer: Layer) -> int:
    """Its kernel. Raises `InputError` where that isn't a square."""
    rows, columns = layer.kernel
    if rows != columns:
        raise reader.error(layer.conv, f"kernel {rows}x{columns} is not expressible here")
    return rows


def _one(reader: Reader, module: nn.Module, value: int | tuple[int, int]) -> int:
    first, second = (value, value) if isinstance(value, int) else value
    if first != second:
        raise reader.error(module, f"{value} is not expressible (allowed: a square)")
    return first
