"""Mobile blocks as timm's EfficientNets and MobileNets have them."""

from __future__ import annotations

from torch import nn

from search_space.values import round_channels
from senet_nas.export.source.text import Call
from senet_nas.export.timm_parts.placed import (
    ROUNDED_TO,
    InexpressibleError,
    Keywords,
    Placed,
    mobile_se_layer,
)


def _mobile(placed: Placed, inside: str | None, name: str, kernel: str) -> Call:
    """What EfficientNet's blocks have in common."""
    block = placed.block
    if inside == "standard":
        raise InexpressibleError("SE after a mobile block's last 1x1 (placement 'standard')")
    pads = placed.pads()
    if isinstance(pads, int):
        raise InexpressibleError(f"a stride of {block.stride} in a mobile block")
    keywords: Keywords = [(kernel, block.kernel)]
    keywords += [("stride", block.stride)] if block.stride > 1 else []
    keywords += [("pad_type", pads)] if pads else []
    keywords += [("act_layer", placed.act)] if block.activation != "relu" else []
    keeps_shape = block.stride == 1 and placed.in_channels == block.channels
    if keeps_shape and placed.module.shortcut is None:
        keywords.append(("noskip", True))
    keywords += [("se_layer", mobile_se_layer(placed))] if inside else []
    return Call(f"mobile.{name}", (placed.in_channels, block.channels), tuple(keywords))


def _with_expansion(call: Call, placed: Placed) -> Call:
    width = round_channels(placed.in_channels * placed.block.expansion)
    if width % ROUNDED_TO:
        raise InexpressibleError(f"an inner width of {width}, which is no multiple of {ROUNDED_TO}")
    ratio = width / placed.in_channels
    return Call(call.function, call.arguments, (*call.keywords, ("exp_ratio", ratio)))


def inverted_residual(placed: Placed, inside: str | None) -> Call:
    """The cell `inverted_residual`. Raises `InexpressibleError`."""
    expands = placed.block.expansion != 1 or placed.extra.get("expand") == "always"
    if not expands:
        return _mobile(placed, inside, "DepthwiseSeparableConv", "dw_kernel_size")
    return _with_expansion(_mobile(placed, inside, "InvertedResidual", "dw_kernel_size"), placed)


def separable(placed: Placed, inside: str | None) -> Call:
    """The cell `separable`. Raises `InexpressibleError`."""
    call = _mobile(placed, inside, "DepthwiseSeparableConv", "dw_kernel_size")
    keywords = [pair for pair in call.keywords if pair[0] != "noskip"]
    always = (("noskip", True), ("pw_act", True))
    return Call(call.function, call.arguments, (*keywords, *always))


def fused_inverted_residual(placed: Placed, inside: str | None) -> Call:
    """The cell `fused_inverted_residual`. Raises `InexpressibleError`."""
    block = placed.block
    groups = (("group_size", placed.in_channels // block.groups),) if block.groups > 1 else ()
    if not isinstance(placed.module.tail, nn.Identity):
        call = _with_expansion(_mobile(placed, inside, "EdgeResidual", "exp_kernel_size"), placed)
        width = round_channels(placed.in_channels * block.expansion)
        groups = (("group_size", width // block.groups),) if block.groups > 1 else ()
        return Call(call.function, call.arguments, (*call.keywords, *groups))
    if inside:
        raise InexpressibleError(f"SE inside of a block of one convolution ({inside!r})")
    call = _mobile(placed, None, "ConvBnAct", "kernel_size")
    keywords = [pair for pair in call.keywords if pair[0] != "noskip"]
    skip = (("skip", True),) if placed.module.shortcut is not None else ()
    return Call(call.function, call.arguments, (*keywords, *groups, *skip))
