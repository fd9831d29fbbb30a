"""Residual blocks as timm's: those of its ResNets, and of its configured networks (byobnet)."""

from __future__ import annotations

import math

from torch import nn

from search_space import Block
from search_space.values import round_channels
from senet_nas.export.source.text import Call, Name
from senet_nas.export.timm_parts.placed import (
    ROUNDED_TO,
    InexpressibleError,
    Keywords,
    Placed,
    se_layer,
)


def residual(placed: Placed, inside: str | None) -> Call:
    """The cells `basic` and `bottleneck`. inside: SE's placement in it. Raises
    `InexpressibleError`."""
    block, extra = placed.block, placed.extra
    if extra.get("branch", "linear") != "linear":
        raise InexpressibleError("an activation at the end of the branch")
    if extra.get("stride_in", "kernel") == "first" and block.stride > 1:
        raise InexpressibleError("a stride in the first 1x1")
    if block.stride > 2:
        raise InexpressibleError(f"a stride of {block.stride} in a residual block")
    call = _of_resnet(placed, inside) or _of_byobnet(placed, inside)
    if call is None:
        width = _inner_width(block)
        raise InexpressibleError(
            f"{block.cell} with kernel {block.kernel}, {block.groups} groups, an inner width of "
            f"{width} of {block.channels} and SE {inside or 'nowhere inside'}"
        )
    return call


def _inner_width(block: Block) -> int:
    return round_channels(block.channels * block.expansion)


def _of_resnet(placed: Placed, inside: str | None) -> Call | None:
    """ResNet's block: 3x3, SE at its end, exact widths."""
    block, width, is_basic = placed.block, _inner_width(placed.block), placed.block.cell == "basic"
    if block.kernel != 3 or inside == "conv3x3":
        return None
    keywords: Keywords = [("stride", block.stride)] if block.stride > 1 else []
    planes = block.channels if is_basic else block.channels // 4
    if is_basic and (width != block.channels or block.groups > 1):
        return None
    if not is_basic:
        base = 64.0 * width / (block.groups * planes) if planes else 0.0
        if planes * 4 != block.channels:
            return None
        if math.floor(planes * (base / 64)) * block.groups != width:
            return None
        if base != 64:
            keywords.append(("base_width", int(base) if base.is_integer() else base))
        keywords += [("cardinality", block.groups)] if block.groups > 1 else []
        divisor = placed.extra.get("first_divisor", 1)
        keywords += [("reduce_first", divisor)] if divisor != 1 else []
    if not isinstance(placed.module.shortcut, nn.Identity):
        keywords.append(("downsample", _downsample(placed)))
    keywords += [("act_layer", placed.act)] if block.activation != "relu" else []
    keywords += [("attn_layer", se_layer(placed))] if inside else []
    name = "resnet.BasicBlock" if is_basic else "resnet.Bottleneck"
    return Call(name, (placed.in_channels, planes), tuple(keywords))


def _downsample(placed: Placed) -> Call:
    block, extra = placed.block, placed.extra
    averaged = extra.get("shortcut", "projection") == "avg"
    kernel = extra.get("projection_kernel", 1) if block.stride > 1 else 1
    keywords: Keywords = [("kernel_size", kernel)]
    keywords += [("stride", block.stride)] if block.stride > 1 else []
    keywords.append(("norm_layer", Name("nn.BatchNorm2d")))
    name = "resnet.downsample_avg" if averaged else "resnet.downsample_conv"
    return Call(name, (placed.in_channels, block.channels), tuple(keywords))


def _of_byobnet(placed: Placed, inside: str | None) -> Call | None:
    """A configured block: any kernel, SE after the kxk or at the end, widths in eights."""
    block, width, is_basic = placed.block, _inner_width(placed.block), placed.block.cell == "basic"
    plain = placed.extra.get("first_divisor", 1) == placed.extra.get("projection_kernel", 1) == 1
    if width % ROUNDED_TO or (is_basic and block.groups > 1) or placed.pads() or not plain:
        return None
    keywords: Keywords = [("kernel_size", block.kernel)]
    keywords += [("stride", block.stride)] if block.stride > 1 else []
    keywords += [("bottle_ratio", width / block.channels)]
    keywords += [("group_size", width // block.groups)] if block.groups > 1 else []
    averaged = placed.extra.get("shortcut", "projection") == "avg"
    keywords += [("downsample", "avg" if averaged else "conv1x1")]
    keywords += [("attn_last", inside == "standard")]
    layers: Keywords = []
    if block.activation != "relu":
        conv = Call("partial", (Name("ConvNormAct"),), (("act_layer", placed.act),))
        layers += [("conv_norm_act", conv), ("act", placed.act)]
    layers += [("attn", se_layer(placed))] if inside else []
    keywords += [("layers", Call("byobnet.LayerFn", (), tuple(layers)))] if layers else []
    name = "byobnet.BasicBlock" if is_basic else "byobnet.BottleneckBlock"
    return Call(name, (placed.in_channels, block.channels), tuple(keywords))
