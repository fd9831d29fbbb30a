"""ResNet, ResNeXt, Wide ResNet and their SE and deep-stem variants, of torchvision and timm."""

from __future__ import annotations

from torch import nn

from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import (
    convolutions,
    max_pool,
    residual,
    shortcut,
    with_alike_projections,
)
from senet_nas.nn.foreign.reading import Part, Reading

NETWORKS = ("torchvision.models.resnet.ResNet", "timm.models.resnet.ResNet")
BASIC = ("torchvision.models.resnet.BasicBlock", "timm.models.resnet.BasicBlock")
BOTTLENECK = ("torchvision.models.resnet.Bottleneck", "timm.models.resnet.Bottleneck")


def read(model: Foreign) -> Reading | None:
    """SE stands after the last norm of a residual branch."""
    reader = Reader(model)
    if not reader.is_a(model, *NETWORKS):
        return None
    act = model.act1 if hasattr(model, "act1") else model.relu
    stem = convolutions(reader, model.conv1, model.bn1, act)
    if isinstance(model.maxpool, nn.Sequential):
        stem += convolutions(reader, model.maxpool)
    else:
        stem.append(max_pool(reader, model.maxpool, stem[-1].block.channels))
    layers = [model.get_submodule(f"layer{n}") for n in (1, 2, 3, 4)]
    stages = [[_block(reader, block) for block in layer.children()] for layer in layers]
    stages = with_alike_projections(stages)
    if hasattr(model, "global_pool"):
        reader.averages(model.global_pool)
    return Reading(
        stem,
        stages,
        reader.linear(model.fc),
        dropout=reader.dropout(),
    )


def _block(reader: Reader, block: Foreign) -> Part:
    if not reader.is_a(block, *BASIC, *BOTTLENECK):
        raise reader.error(block, f"{type(block).__name__} is not expressible")
    modules: list[nn.Module | None] = []
    count = 3 if reader.is_a(block, *BOTTLENECK) else 2
    for n in range(1, count + 1):
        act = getattr(block, f"act{n}", None) or getattr(block, "relu", None)
        modules += [getattr(block, f"conv{n}"), getattr(block, f"bn{n}")]
        modules += [
            act if n < count else None,
            getattr(block, "aa", None) if n == count - 1 else None,
        ]
    last = getattr(block, f"act{count}", None) or block.relu
    return residual(
        reader,
        block,
        reader.layers(*modules),
        shortcut(reader, block.downsample),
        reader.activation(last),
        reader.squeeze(getattr(block, "se", None)),
    )
