"""VGG (arXiv 1409.1556) with and without batch norm, of torchvision and timm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from search_space import Block
from senet_nas.nn.foreign.layers import Foreign, Layer, Reader
from senet_nas.nn.foreign.parts import convolution, max_pool
from senet_nas.nn.foreign.reading import Part, Reading, differing


def read(model: Foreign) -> Reading | None:
    """The first fully connected layer reads a map of 7x7: torchvision's are linear layers, timm's
    convolutions of the same weights. On larger maps (images of 256 pixels and more) timm's slides
    them and averages at the end; torchvision's and ours average before."""
    reader = Reader(model)
    if reader.is_a(model, "torchvision.models.vgg.VGG"):
        first, act, drop, second, second_act, last_drop, classifier = model.classifier.children()
    elif reader.is_a(model, "timm.models.vgg.VGG"):
        reader.averages(model.head.global_pool)
        mlp = model.pre_logits
        first, act, drop, second, second_act = mlp.fc1, mlp.act1, mlp.drop, mlp.fc2, mlp.act2
        last_drop, classifier = model.head.drop, model.head.fc
    else:
        return None
    stem, *stages = _stages(reader, list(model.features.children()))
    width = stages[-1][-1].block.channels
    weight = first.get_parameter("weight")
    dense = Block(
        "dense",
        weight.shape[0],
        kernel=round((weight[0].numel() / width) ** 0.5),
        activation=reader.activation(act),
        extra=differing(dropout_percent=(round(100 * reader.dropout(drop)), 0)),
    )
    return Reading(
        stem,
        stages,
        reader.linear(classifier),
        [Part(dense, width, {"head": [first]})],
        (reader.linear(second), reader.activation(second_act)),
        reader.dropout(last_drop),
    )


def _stages(reader: Reader, modules: Sequence[nn.Module]) -> list[list[Part]]:
    """A stage ends with its pooling."""
    stages: list[list[Part]] = [[]]
    pending: list[nn.Module] = []

    def finish() -> None:
        stages[-1] += [_convolution(reader, layer) for layer in reader.layers(*pending)]
        pending.clear()

    for module in modules:
        if isinstance(module, nn.MaxPool2d):
            finish()
            stages[-1].append(max_pool(reader, module, stages[-1][-1].block.channels))
            stages.append([])
        else:
            pending.append(module)
    finish()
    return [stage for stage in stages if stage]


def _convolution(reader: Reader, layer: Layer) -> Part:
    """Whether there is a norm is said in either case, as the family has both."""
    part = convolution(reader, layer)
    norm = ("norm", "none" if layer.norm is None else "batch")
    extra = tuple({**dict(part.block.extra), norm[0]: norm[1]}.items())
    return replace(part, block=replace(part.block, extra=extra))
