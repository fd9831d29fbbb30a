"""ShuffleNetV2 (arXiv 1807.11164) of torchvision."""

from __future__ import annotations

from search_space import Block
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolutions, max_pool, same_activation
from senet_nas.nn.foreign.reading import Part, Reading


def read(model: Foreign) -> Reading | None:
    """Units of two branches whose channels are shuffled."""
    reader = Reader(model)
    if not reader.is_a(model, "torchvision.models.shufflenetv2.ShuffleNetV2"):
        return None
    stem = convolutions(reader, model.conv1)
    stem.append(max_pool(reader, model.maxpool, stem[-1].block.channels))
    stages = [
        [_unit(reader, unit) for unit in model.get_submodule(f"stage{n}").children()]
        for n in (2, 3, 4)
    ]
    return Reading(stem, stages, reader.linear(model.fc), convolutions(reader, model.conv5))


def _unit(reader: Reader, unit: Foreign) -> Part:
    if not reader.is_a(unit, "torchvision.models.shufflenetv2.InvertedResidual"):
        raise reader.error(unit, f"{type(unit).__name__} is not expressible")
    first, depthwise, last = reader.layers(unit.branch2)
    shortcut = reader.layers(unit.branch1)
    for layer, activation in ((depthwise, "identity"), (last, first.activation)):
        same_activation(reader, [layer], activation)
    half = last.conv.out_channels
    block = Block(
        "shuffle_v2",
        2 * half,
        depthwise.stride,
        depthwise.kernel[0],
        first.conv.out_channels / half,
        activation=first.activation,
    )
    in_channels = first.conv.in_channels * (1 if shortcut else 2)
    sources = {
        "head": [*first.modules(), *depthwise.modules()],
        "tail": last.modules(),
        "shortcut": [module for layer in shortcut for module in layer.modules()],
    }
    return Part(block, in_channels, sources)
