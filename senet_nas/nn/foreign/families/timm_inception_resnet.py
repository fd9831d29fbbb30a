"""Inception-ResNet-v2 (arXiv 1602.07261) of timm."""

from __future__ import annotations

from collections.abc import Sequence

from search_space import Block
from search_space.values import Scalar
from senet_nas.nn.foreign.branching import Branch, branches_text, inception, layers_of, steps
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolutions, max_pool
from senet_nas.nn.foreign.reading import Part, Reading

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
    children = [child for name, child in module.named_children() if name.startswith("branch")]
    branches = [steps(reader, child) for child in children]
    return _residual(module, branches) if hasattr(module, "conv2d") else inception(branches)


def _residual(module: Foreign, branches: Sequence[Branch]) -> Part:
    """The largest kernel is the block's."""
    layers = layers_of(branches)
    kernel = max(max(layer.kernel) for layer in layers)
    act = module.act if hasattr(module, "act") else module.relu
    extra: tuple[tuple[str, Scalar], ...] = (
        ("branches", branches_text(branches, kernel)),
        ("scale", float(module.scale)),
        ("last", "linear" if act is None else "activated"),
    )
    block = Block(
        "inception_residual",
        module.conv2d.out_channels,
        kernel=kernel,
        activation=layers[0].activation,
        extra=extra,
    )
    sources = {"head": [m for layer in layers for m in layer.modules()], "tail": [module.conv2d]}
    return Part(block, layers[0].conv.in_channels, sources)
