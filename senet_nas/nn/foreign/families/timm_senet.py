"""timm's networks from the SE paper's authors' released models: `legacy_senet154`,
`legacy_seresnet*`, `legacy_seresnext*`."""

from __future__ import annotations

from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import (
    convolutions,
    max_pool,
    residual,
    shortcut,
    with_alike_projections,
)
from senet_nas.nn.foreign.reading import Part, Reading


def read(model: Foreign) -> Reading | None:
    """Pooling without padding, its last window over the edge; one ReLU serves a whole block."""
    reader = Reader(model)
    if not reader.is_a(model, "timm.models.senet.SENet"):
        return None
    stem = convolutions(reader, model.layer0)
    stem.append(max_pool(reader, model.pool0, stem[-1].block.channels))
    layers = [model.get_submodule(f"layer{n}") for n in (1, 2, 3, 4)]
    reader.averages(model.global_pool)
    return Reading(
        stem,
        with_alike_projections([[_block(reader, b) for b in layer.children()] for layer in layers]),
        reader.linear(model.last_linear),
        dropout=reader.dropout(),
    )


def _block(reader: Reader, block: Foreign) -> Part:
    """The branch of a basic block ends with its ReLU, before SE."""
    modules = [block.conv1, block.bn1, block.relu, block.conv2, block.bn2, block.relu]
    if hasattr(block, "conv3"):
        modules += [block.conv3, block.bn3]
    return residual(
        reader,
        block,
        reader.layers(*modules),
        shortcut(reader, block.downsample),
        reader.activation(block.relu),
        reader.squeeze(block.se_module),
    )
