"""timm's networks of inverted residuals: EfficientNet, MobileNet v1 to v3, MnasNet and the like."""

from __future__ import annotations

from torch import nn

from senet_nas.nn.foreign.inverted import fused_inverted_residual, inverted_residual
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolution, convolutions
from senet_nas.nn.foreign.reading import Part, Reading

EFFICIENTNET = "timm.models.efficientnet.EfficientNet"
MOBILENET_V3 = "timm.models.mobilenetv3.MobileNetV3"
BLOCKS = "timm.models._efficientnet_blocks"

# An SE's hidden width is a quarter of the block's input; in MobileNetV3, of the inner width.
OF_INPUT = ((4, "input", 1), (4, "own", 8))
OF_INNER = ((4, "own", 8), (4, "own", 1), (4, "input", 1))


def read(model: Foreign) -> Reading | None:
    """MobileNetV3's last convolution stands after the pooling, EfficientNet's before it."""
    reader = Reader(model)
    if not reader.is_a(model, EFFICIENTNET, MOBILENET_V3):
        return None
    stages = [[_block(reader, block) for block in stage.children()] for stage in model.blocks]
    head = [part for part in stages[-1] if part.block.cell == "conv"]
    if head == stages[-1]:  # a convolution alone is no stage
        stages.pop()
    else:
        head = []
    reader.averages(model.global_pool)
    hidden = None
    if reader.is_a(model, EFFICIENTNET):
        head += convolutions(reader, model.conv_head, model.bn2)
    else:
        if not isinstance(model.norm_head, nn.Identity):
            raise reader.error(model.norm_head, "a norm after the pooling is not expressible")
        hidden = (reader.linear(model.conv_head, bias=None), reader.activation(model.act2))
    return Reading(
        convolutions(reader, model.conv_stem, model.bn1),
        stages,
        reader.linear(model.classifier),
        head,
        hidden,
        reader.dropout(),
        OF_INPUT if hidden is None else OF_INNER,
    )


def _block(reader: Reader, block: Foreign) -> Part:
    kind = next(
        (n for n in ("ConvBnAct", "DepthwiseSeparableConv", "InvertedResidual", "EdgeResidual")
         if f"{type(block).__module__}.{type(block).__qualname__}" == f"{BLOCKS}.{n}"),
        None,
    )  # fmt: skip
    if kind is None:  # a class derived from these may do something else
        raise reader.error(block, f"{type(block).__name__} is not expressible")
    if kind == "ConvBnAct":
        layers = reader.layers(block.conv, block.bn1, block.aa)
        if layers[0].kernel == (1, 1) and not block.has_skip:
            return convolution(reader, layers[0])
        return fused_inverted_residual(reader, block, layers, block.has_skip)
    if kind == "EdgeResidual":
        modules = (block.conv_exp, block.bn1, block.aa, block.conv_pwl, block.bn2)
        layers = reader.layers(*modules)
        squeeze = reader.squeeze(block.se)
        return fused_inverted_residual(reader, block, layers, block.has_skip, squeeze)
    if block.conv_s2d is not None:
        raise reader.error(block.conv_s2d, "space to depth is not expressible")
    expand = () if kind == "DepthwiseSeparableConv" else (block.conv_pw, block.bn1)
    rest = (
        (block.conv_dw, block.bn1, block.aa, block.conv_pw, block.bn2)
        if kind == "DepthwiseSeparableConv"
        else (block.conv_dw, block.bn2, block.aa, block.conv_pwl, block.bn3)
    )
    layers = reader.layers(*expand, *rest)
    return inverted_residual(reader, block, layers, block.has_skip, reader.squeeze(block.se))
