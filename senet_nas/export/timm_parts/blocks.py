"""Our blocks as timm's own: the calls that build them, or by name what timm has no block for.

SE that stands before or behind a whole block is a module of its own there.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from search_space import SE
from senet_nas.export.source.text import Call
from senet_nas.export.timm_parts.mobile import fused_inverted_residual, inverted_residual, separable
from senet_nas.export.timm_parts.placed import InexpressibleError, Keywords, Placed, se_module
from senet_nas.export.timm_parts.residual import residual


def timm_calls(placed: Placed) -> list[Call]:
    """The modules, one after the other, that compute what a block of ours does.

    Raises `InexpressibleError` naming the part that they can't.
    """
    cell = placed.block.cell
    if cell not in CELLS:
        raise InexpressibleError(f"the cell {cell!r}")
    _check_se(placed.se)
    where = _where(placed)
    inside = where if where in ("standard", "conv3x3") else None
    call = CELLS[cell](placed, inside)
    before = [se_module(placed)] if where == "before" else []
    behind = [se_module(placed)] if where == "behind" else []
    return [*before, call, *behind]


def _check_se(se: SE | None) -> None:
    if se is None:
        return
    if se.squeeze != "avg":
        raise InexpressibleError(f"the squeeze {se.squeeze!r}")
    if se.neutral:
        raise InexpressibleError("a neutral excitation")


def _where(placed: Placed) -> str | None:
    """`before` or `behind` the whole block, or the placement inside of it."""
    if placed.se is None:
        return None
    placement, alone = placed.se.placement, placed.module.shortcut is None
    if placement == "post" or (alone and placement == "standard" and _ends_with_tail(placed)):
        return "behind"
    if placement == "pre" and alone and isinstance(placed.module.entry, nn.Identity):
        return "before"
    if placement == "conv3x3" and isinstance(placed.module.tail, nn.Identity) and alone:
        return "behind"
    if placement in ("pre", "identity"):
        raise InexpressibleError(f"the placement {placement!r}")
    return placement


def _ends_with_tail(placed: Placed) -> bool:
    return isinstance(placed.module.act, nn.Identity)


def _conv(placed: Placed, inside: str | None) -> Call:
    block, extra = placed.block, placed.extra
    keywords: Keywords = []
    if block.stride > 1:
        keywords.append(("stride", block.stride))
    if (padding := placed.pads()) is not None:
        keywords.append(("padding", padding))
    if block.groups > 1:
        keywords.append(("groups", block.groups))
    if extra.get("bias", False):
        keywords.append(("bias", True))
    without_norm = extra.get("norm", "batch") == "none"
    if without_norm:
        keywords.append(("apply_norm", False))
    elif block.activation == "identity":
        keywords.append(("apply_act", False))
    elif block.activation != "relu":
        keywords.append(("act_layer", placed.act))
    channels = (placed.in_channels, block.channels, block.kernel)
    call = Call("ConvNormAct", channels, tuple(keywords))
    if without_norm and block.activation != "identity":  # timm's activation is its norm's
        return Call("nn.Sequential", (call, Call(placed.act.text)))
    return call


def _max_pool(placed: Placed, inside: str | None) -> Call:
    pool = placed.module.head
    assert isinstance(pool, nn.MaxPool2d)
    keywords: Keywords = [("stride", pool.stride)]
    keywords += [("padding", pool.padding)] if pool.padding else []
    keywords += [("ceil_mode", True)] if pool.ceil_mode else []
    return Call("nn.MaxPool2d", (pool.kernel_size,), tuple(keywords))


def _norm_act(placed: Placed, inside: str | None) -> Call:
    return Call("BatchNormAct2d", (placed.block.channels,), (("act_layer", placed.act),))


CELLS: dict[str, Callable[[Placed, str | None], Call]] = {
    "basic": residual,
    "bottleneck": residual,
    "conv": _conv,
    "fused_inverted_residual": fused_inverted_residual,
    "inverted_residual": inverted_residual,
    "max_pool": _max_pool,
    "norm_act": _norm_act,
    "separable": separable,
}
