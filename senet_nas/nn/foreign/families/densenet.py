"""DenseNet (arXiv 1608.06993) of torchvision and timm."""

from __future__ import annotations

from torch import nn

from search_space import Block
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolutions, max_pool, same_activation, square
from senet_nas.nn.foreign.reading import Part, Reading

NETWORKS = ("torchvision.models.densenet.DenseNet", "timm.models.densenet.DenseNet")
BLOCKS = ("torchvision.models.densenet._DenseBlock", "timm.models.densenet.DenseBlock")
TRANSITIONS = ("torchvision.models.densenet._Transition", "timm.models.densenet.DenseTransition")


def read(model: Foreign) -> Reading | None:
    """A stage is the layers of a block, and the transition before them."""
    reader = Reader(model)
    if not reader.is_a(model, *NETWORKS):
        return None
    children = list(model.features.children())
    names = [name for name, _ in model.features.named_children()]
    pool = names.index("pool0")
    stem = convolutions(reader, *children[:pool])
    stem.append(max_pool(reader, children[pool], stem[-1].block.channels))
    *middle, last = children[pool + 1 :]
    stages: list[list[Part]] = [[]]
    for module in middle:
        if reader.is_a(module, *TRANSITIONS):
            stages.append([_transition(reader, module)])
        elif reader.is_a(module, *BLOCKS):
            stages[-1] += [_layer(reader, layer) for layer in module.children()]
        else:
            raise reader.error(module, f"{type(module).__name__} is not expressible")
    if hasattr(model, "global_pool"):
        reader.averages(model.global_pool)
    channels = last.get_parameter("weight").shape[0]
    activation = _activation(reader, last, nn.ReLU())  # torchvision's is a function
    norm = Part(Block("norm_act", channels, activation=activation), channels, {"head": [last]})
    return Reading(
        stem, stages, reader.linear(model.classifier), [norm], dropout=_dropout(reader, model)
    )


def _dropout(reader: Reader, model: Foreign) -> float:
    """torchvision's `drop_rate` is that of the layers, which isn't kept."""
    return reader.dropout(model.head_drop) if hasattr(model, "head_drop") else 0.0


def _activation(reader: Reader, norm: Foreign, own: nn.Module | None) -> str:
    """Of a norm that has its activation in it, or else of the module after it."""
    if not isinstance(norm, nn.BatchNorm2d):
        raise reader.error(norm, f"{type(norm).__name__} is not expressible (allowed: batch norm)")
    return reader.activation(getattr(norm, "act", own))


def _layer(reader: Reader, layer: Foreign) -> Part:
    first, last = reader.layers(
        layer.conv1, layer.norm2, getattr(layer, "relu2", None), layer.conv2
    )
    activation = _activation(reader, layer.norm1, getattr(layer, "relu1", None))
    same_activation(reader, [first], activation)
    same_activation(reader, [last], "identity")
    in_channels, growth = first.conv.in_channels, last.conv.out_channels
    block = Block(
        "dense_layer",
        in_channels + growth,
        kernel=square(reader, last),
        expansion=first.conv.out_channels / growth,
        activation=activation,
    )
    sources = {"head": [layer.norm1, *first.modules()], "tail": last.modules()}
    return Part(block, in_channels, sources)


def _transition(reader: Reader, module: Foreign) -> Part:
    (layer,) = reader.layers(module.conv)
    pool, stride = module.pool, module.pool.stride
    if type(pool) is not nn.AvgPool2d or pool.kernel_size != stride or pool.padding != 0:
        raise reader.error(pool, f"{type(pool).__name__} is not expressible here")
    activation = _activation(reader, module.norm, getattr(module, "relu", None))
    block = Block("dense_transition", layer.conv.out_channels, stride, activation=activation)
    sources = {"head": [module.norm, *layer.modules()]}
    return Part(block, layer.conv.in_channels, sources)
