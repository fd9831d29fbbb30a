"""torchvision's networks of inverted residuals: MobileNetV2, MobileNetV3, EfficientNet, MnasNet."""

from __future__ import annotations

from torch import nn

from senet_nas.nn.foreign.inverted import (
    fused_inverted_residual,
    inverted_residual,
)
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolution, convolutions, stages_by_shape
from senet_nas.nn.foreign.reading import Convention, Part, Reading

MODELS = "torchvision.models"
FUSED = f"{MODELS}.efficientnet.FusedMBConv"
SQUEEZE = "torchvision.ops.misc.SqueezeExcitation"

# How each writes an SE's hidden width.
CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    f"{MODELS}.mobilenetv2.MobileNetV2": (),
    f"{MODELS}.mobilenetv3.MobileNetV3": ((4, "own", 8),),
    f"{MODELS}.efficientnet.EfficientNet": ((4, "input", 1),),
}
# Each unit, the attribute that holds its layers, the one that says whether there is a shortcut.
UNITS = {
    f"{MODELS}.mobilenetv2.InvertedResidual": ("conv", "use_res_connect"),
    f"{MODELS}.mobilenetv3.InvertedResidual": ("block", "use_res_connect"),
    f"{MODELS}.efficientnet.MBConv": ("block", "use_res_connect"),
    FUSED: ("block", "use_res_connect"),
    f"{MODELS}.mnasnet._InvertedResidual": ("layers", "apply_residual"),
}


def read(model: Foreign) -> Reading | None:
    """The first and the last of `features` are convolutions."""
    reader = Reader(model)
    if reader.is_a(model, f"{MODELS}.mnasnet.MNASNet"):
        return _mnasnet(reader, model)
    conventions = next((c for name, c in CONVENTIONS.items() if reader.is_a(model, name)), None)
    if conventions is None:
        return None
    first, *units, last = model.features.children()
    if isinstance(units[0], nn.Sequential):  # EfficientNet has stages
        stages = [[_unit(reader, unit) for unit in stage.children()] for stage in units]
    else:
        stages = stages_by_shape([_unit(reader, unit) for unit in units])
    *before, classifier = [m for m in model.classifier.children() if not isinstance(m, nn.Dropout)]
    hidden = (reader.linear(before[0]), reader.activation(before[1])) if before else None
    return Reading(
        convolutions(reader, first),
        stages,
        reader.linear(classifier),
        convolutions(reader, last),
        hidden,
        reader.dropout(model.classifier),
        conventions,
    )


def _mnasnet(reader: Reader, model: Foreign) -> Reading:
    """A convolution, a depthwise separable one, units, a convolution, all in one row."""
    modules = list(model.layers.children())
    plain = [module for module in modules if not isinstance(module, nn.Sequential)]
    stacks = [module for module in modules if isinstance(module, nn.Sequential)]
    first, depthwise, pointwise, last = reader.layers(*plain)
    separable = inverted_residual(reader, plain[3], [depthwise, pointwise], has_shortcut=False)
    stages = [[_unit(reader, unit) for unit in stack.children()] for stack in stacks]
    return Reading(
        [convolution(reader, first)],
        [[separable], *stages],
        reader.linear(model.classifier[-1]),
        [convolution(reader, last)],
        dropout=reader.dropout(model.classifier),
    )


def _unit(reader: Reader, unit: Foreign) -> Part:
    found = next((how for name, how in UNITS.items() if reader.is_a(unit, name)), None)
    if found is None:
        raise reader.error(unit, f"{type(unit).__name__} is not expressible")
    holder, has_shortcut = found
    modules = list(unit.get_submodule(holder).children())
    squeezes = [module for module in modules if reader.is_a(module, SQUEEZE)]
    layers = reader.layers(*(module for module in modules if module not in squeezes))
    squeeze = reader.squeeze(squeezes[0]) if squeezes else None
    fused = reader.is_a(unit, FUSED)
    read_unit = fused_inverted_residual if fused else inverted_residual
    return read_unit(reader, unit, layers, bool(getattr(unit, has_shortcut)), squeeze)
