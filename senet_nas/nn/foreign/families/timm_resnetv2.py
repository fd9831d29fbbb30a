"""ResNets with pre-activation (arXiv 1603.05027) of timm, where they have batch norm."""

from __future__ import annotations

from torch import nn

from search_space import Block
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import (
    Shortcut,
    convolutions,
    max_pool,
    residual,
    shortcut,
    with_alike_projections,
)
from senet_nas.nn.foreign.reading import Part, Reading, differing

MODULE = "timm.models.resnetv2"


def read(model: Foreign) -> Reading | None:
    """The stem's pooling follows a convolution alone; the last norm ends the network."""
    reader = Reader(model)
    if not reader.is_a(model, f"{MODULE}.ResNetV2"):
        return None
    reader.averages(model.head.global_pool)
    *first, pool = model.stem.children()
    stem = convolutions(reader, *first)
    stem.append(max_pool(reader, pool, stem[-1].block.channels))
    stages = [
        [_block(reader, block) for block in stage.blocks.children()]
        for stage in model.stages.children()
    ]
    head = [] if isinstance(model.norm, nn.Identity) else [_norm(reader, model.norm)]
    return Reading(
        stem,
        with_alike_projections(stages),
        reader.linear(model.head.fc),
        head,
        dropout=reader.dropout(model.head.drop),
    )


def _norm(reader: Reader, norm: Foreign) -> Part:
    activation = _activation(reader, norm)
    channels = norm.get_parameter("weight").shape[0]
    return Part(Block("norm_act", channels, activation=activation), channels, {"head": [norm]})


def _activation(reader: Reader, norm: Foreign) -> str:
    if not isinstance(norm, nn.BatchNorm2d):
        raise reader.error(norm, f"{type(norm).__name__} is not expressible (allowed: batch norm)")
    return reader.activation(norm.act)


def _block(reader: Reader, block: Foreign) -> Part:
    if reader.is_a(block, f"{MODULE}.Bottleneck"):
        return _post_activated(reader, block)
    bottleneck = reader.is_a(block, f"{MODULE}.PreActBottleneck")
    if not bottleneck and not reader.is_a(block, f"{MODULE}.PreActBasic"):
        raise reader.error(block, f"{type(block).__name__} is not expressible")
    around = _projection(reader, block)
    activation = _activation(reader, block.norm1)
    if bottleneck:
        layers = reader.layers(block.conv1, block.norm2, block.conv2, block.norm3, block.conv3)
    else:
        layers = reader.layers(block.conv1, block.norm2, block.conv2)
    *inner, last = layers
    channels, in_channels = last.conv.out_channels, layers[0].conv.in_channels
    spatial = layers[1] if bottleneck else layers[0]
    made = Block(
        "preact_bottleneck" if bottleneck else "preact_basic",
        channels,
        spatial.stride,
        spatial.kernel[0],
        spatial.conv.out_channels / channels,
        spatial.conv.groups,
        activation,
        extra=differing(shortcut=("avg" if around.averaged > 1 else "projection", "projection")),
    )
    head = [module for layer in inner for module in layer.modules()]
    sources = {
        "entry": [block.norm1] if around.layers else [],
        "head": head if around.layers else [block.norm1, *head],
        "tail": last.modules(),
        "shortcut": around.modules(),
    }
    return Part(made, in_channels, sources)


def _post_activated(reader: Reader, block: Foreign) -> Part:
    modules = (block.conv1, block.norm1, block.conv2, block.norm2, block.conv3, block.norm3)
    around = _projection(reader, block)
    act = reader.activation(block.act3)
    return residual(reader, block, reader.layers(*modules), around, act)


def _projection(reader: Reader, block: Foreign) -> Shortcut:
    down = block.downsample
    if down is None:
        return Shortcut()
    return shortcut(reader, getattr(down, "pool", None), down.conv, down.norm)
