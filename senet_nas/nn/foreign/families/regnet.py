"""RegNetX and RegNetY (arXiv 2003.13678) of torchvision and timm."""

from __future__ import annotations

from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolutions, residual, shortcut
from senet_nas.nn.foreign.reading import Part, Reading

CONVENTIONS = ((4, "input", 1),)


def read(model: Foreign) -> Reading | None:
    """SE stands after the 3x3, and its hidden width is a part of the block's input."""
    reader = Reader(model)
    if reader.is_a(model, "torchvision.models.regnet.RegNet"):
        stages = [
            [_torchvision_block(reader, block) for block in stage.children()]
            for stage in model.trunk_output.children()
        ]
        return Reading(
            convolutions(reader, model.stem),
            stages,
            reader.linear(model.fc),
            conventions=CONVENTIONS,
        )
    if reader.is_a(model, "timm.models.regnet.RegNet"):
        reader.averages(model.head.global_pool)
        stages = [
            [_timm_block(reader, block) for block in getattr(model, f"s{n}").children()]
            for n in (1, 2, 3, 4)
        ]
        return Reading(
            convolutions(reader, model.stem),
            stages,
            reader.linear(model.head.fc),
            convolutions(reader, model.final_conv),
            dropout=reader.dropout(model.head.drop),
            conventions=CONVENTIONS,
        )
    return None


def _torchvision_block(reader: Reader, block: Foreign) -> Part:
    if not reader.is_a(block, "torchvision.models.regnet.ResBottleneckBlock"):
        raise reader.error(block, f"{type(block).__name__} is not expressible")
    branch = block.f
    return residual(
        reader,
        block,
        reader.layers(branch.a, branch.b, branch.c),
        shortcut(reader, block.proj),
        reader.activation(block.activation),
        reader.squeeze(getattr(branch, "se", None)),
        "conv3x3",
    )


def _timm_block(reader: Reader, block: Foreign) -> Part:
    if not reader.is_a(block, "timm.models.regnet.Bottleneck"):
        raise reader.error(block, f"{type(block).__name__} is not expressible")
    if block.downsample is None:
        raise reader.error(block, "a block without a shortcut is not expressible")
    return residual(
        reader,
        block,
        reader.layers(block.conv1, block.conv2, block.conv3),
        shortcut(reader, block.downsample),
        reader.activation(block.act3),
        reader.squeeze(block.se),
        "conv3x3",
    )
