"""timm's networks of configured blocks: GENet (`gernet_*`, arXiv 2006.14090), `resnet*ts`,
`seresnet33ts`, `resnext26ts` and the like."""

from __future__ import annotations

from torch import nn

from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import (
    Shortcut,
    convolutions,
    max_pool,
    residual,
    shortcut,
    with_alike_projections,
)
from senet_nas.nn.foreign.reading import Part, Reading

MODULE = "timm.models.byobnet"


def read(model: Foreign) -> Reading | None:
    """SE stands after the kxk or, as the block says, last."""
    reader = Reader(model)
    if not reader.is_a(model, f"{MODULE}.ByobNet"):
        return None
    head = model.head
    if not reader.is_a(head, "timm.layers.classifier.ClassifierHead"):
        raise reader.error(head, f"{type(head).__name__} is not expressible")
    reader.averages(head.global_pool)
    stages = [[_block(reader, block) for block in stage.children()] for stage in model.stages]
    return Reading(
        _stem(reader, model.stem),
        with_alike_projections(stages),
        reader.linear(head.fc),
        convolutions(reader, model.final_conv),
        dropout=reader.dropout(head.drop),
    )


def _stem(reader: Reader, stem: Foreign) -> list[Part]:
    parts: list[Part] = []
    for module in stem.children() if isinstance(stem, nn.Sequential) else (stem,):
        if isinstance(module, nn.MaxPool2d):
            parts.append(max_pool(reader, module, parts[-1].block.channels))
        else:
            parts += convolutions(reader, module)
    return parts


def _block(reader: Reader, block: Foreign) -> Part:
    if reader.is_a(block, f"{MODULE}.BasicBlock"):
        modules = [block.conv1_kxk, block.conv2_kxk]
    elif reader.is_a(block, f"{MODULE}.BottleneckBlock"):
        modules = [block.conv1_1x1, block.conv2_kxk, block.conv2b_kxk, block.conv3_1x1]
    else:
        raise reader.error(block, f"{type(block).__name__} is not expressible")
    inner, last = reader.squeeze(block.attn), reader.squeeze(block.attn_last)
    return residual(
        reader,
        block,
        reader.layers(*modules),
        _shortcut(reader, block),
        reader.activation(block.act),
        inner or last,
        "conv3x3" if inner else "standard",
    )


def _shortcut(reader: Reader, block: Foreign) -> Shortcut:
    module = block.shortcut
    if module is None:
        raise reader.error(block, "a block without a shortcut is not expressible")
    if reader.is_a(module, f"{MODULE}.DownsampleAvg"):
        return shortcut(reader, module.pool, module.conv)
    return shortcut(reader, module)
