"""Inception-ResNet-v2 (arXiv 1602.07261) of timm."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from search_space import Block
from search_space.values import Scalar
from senet_nas.nn.foreign.layers import Foreign, Layer, Reader
from senet_nas.nn.foreign.parts import convolutions, max_pool
from senet_nas.nn.foreign.reading import Part, Reading, differing

MODULE = "timm.models.inception_resnet_v2"


def read(model: Foreign) -> Reading | None:
    """Modules whose branches are concatenated, and residual ones of the same."""
    reader = Reader(model)
    if not reader.is_a(model, f"{MODULE}.InceptionResnetV2"):
        return None
    reader.averages(model.global_pool)
    stem = convolutions(reader, model.conv2d_1a, model.conv2d_2a, model.conv2d_2b)
    stem.append(max_pool(reader, model.maxpool_3a, stem[-1].block.channels))
    stem += convolutions(reader, model.conv2d_3b, model.conv2d_4a)
    stem.append(max_pool(reader, model.maxpool_5a, stem[-1].block.channels))
    stages = (
        (model.mixed_5b, *model.repeat),
        (model.mixed_6a, *model.repeat_1),
        (model.mixed_7a, *model.repeat_2, model.block8),
    )
    return Reading(
        stem,
        [[_module(reader, module) for module in stage] for stage in stages],
        reader.linear(model.classif),
        convolutions(reader, model.conv2d_7b),
        dropout=reader.dropout(model.head_drop),
    )


def _module(reader: Reader, module: Foreign) -> Part:
    branches = [child for name, child in module.named_children() if name.startswith("branch")]
    parts = [_parts(reader, branch) for branch in branches]
    layers = [part for branch in parts for part in branch if isinstance(part, Layer)]
    in_channels, activation = layers[0].conv.in_channels, layers[0].activation
    sources = {"head": [m for layer in layers for m in layer.modules()]}
    if hasattr(module, "conv2d"):
        return _residual(reader, module, parts, in_channels, activation, sources)
    stride = max(layer.stride for layer in layers)
    text = ", ".join(" ".join(_word(part) for part in branch) for branch in parts)
    extra = (("branches", text), *differing(padding=("valid" if stride > 1 else "same", "same")))
    width = sum(_width(branch, in_channels) for branch in parts)
    block = Block("inception", width, stride, activation=activation, extra=extra)
    return Part(block, in_channels, sources)


def _residual(
    reader: Reader,
    module: Foreign,
    parts: Sequence[Sequence[Layer | str]],
    in_channels: int,
    activation: str,
    sources: dict[str, list[nn.Module]],
) -> Part:
    """The largest kernel is the block's."""
    layers = [part for branch in parts for part in branch if isinstance(part, Layer)]
    kernel = max(max(layer.kernel) for layer in layers)
    text = ", ".join(" ".join(_word(part, kernel) for part in branch) for branch in parts)
    act = module.act if hasattr(module, "act") else module.relu
    extra: tuple[tuple[str, Scalar], ...] = (
        ("branches", text),
        ("scale", float(module.scale)),
        ("last", "linear" if act is None else "activated"),
    )
    block = Block(
        "inception_residual",
        module.conv2d.out_channels,
        kernel=kernel,
        activation=activation,
        extra=extra,
    )
    return Part(block, in_channels, {**sources, "tail": [module.conv2d]})


def _parts(reader: Reader, branch: Foreign) -> list[Layer | str]:
    """A branch's layers and, as words, its poolings, in order."""
    modules = branch.children() if isinstance(branch, nn.Sequential) else (branch,)
    parts: list[Layer | str] = []
    for module in modules:
        if isinstance(module, nn.MaxPool2d):
            parts.append("max")
        elif isinstance(module, nn.AvgPool2d):
            parts.append("padded_avg" if module.count_include_pad else "avg")
        else:
            parts += reader.layers(module)
    return parts


def _word(part: Layer | str, kernel: int = 0) -> str:
    """As `senet_nas.nn.branches` reads it; kernel: the size that is written as k."""
    if isinstance(part, str):
        return part
    rows, columns = ("k" if 1 < kernel == size else str(size) for size in part.kernel)
    return f"{rows}x{columns}-{part.conv.out_channels}"


def _width(branch: Sequence[Layer | str], in_channels: int) -> int:
    layers = [part for part in branch if isinstance(part, Layer)]
    return layers[-1].conv.out_channels if layers else in_channels
