"""SE between batch norm's few values, as one node of the graph: written out both ways, since on
(N, C) autograd's own nodes take longer than what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from senet_nas.nn.fused.switch import in_full, is_plain, refuse_second
from senet_nas.nn.squeeze_excitation import EXCITATIONS, SqueezeExcitation

aten = torch.ops.aten

# The gradient of what the excitation was computed from, by its own gradient and its result.
DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": aten.sigmoid_backward,
    "tanh": aten.tanh_backward,
    "relu": lambda grad, e: aten.threshold_backward(grad, e, 0),
}


def can_excite(se: SqueezeExcitation, squeezed: Tensor) -> bool:
    """Whether SE's layers are those that are written out here."""
    layers = se.reduce, se.expand, se.act
    return (
        se.value.excitation in DERIVATIVES
        and not se.value.neutral
        and type(se.reduce) is type(se.expand) is nn.Linear
        and type(se.act) is nn.ReLU
        and all(map(is_plain, layers))
        and squeezed.dtype is se.reduce.weight.dtype is se.expand.weight.dtype is torch.float32
        and (se.reduce.bias is None) is (se.expand.bias is None)
    )


class Excite(Function):
    """Batch norm's scale and shift (1, C) to their products with the excitation (N, C).

    first: the sums of x - centre, (N, C). share: one over their number of pixels.
    """

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        scale: Tensor,
        shift: Tensor,
        reduce: Tensor,
        reduce_bias: Tensor | None,
        expand: Tensor,
        expand_bias: Tensor | None,
        share: float,
        excitation: str,
    ) -> tuple[Tensor, Tensor]:
        squeezed = torch.addcmul(shift, first, scale, value=share)
        hidden = _linear(squeezed, reduce, reduce_bias).relu_()
        e = EXCITATIONS[excitation](_linear(hidden, expand, expand_bias))
        ctx.save_for_backward(first, scale, shift, squeezed, hidden, e, reduce, expand)
        ctx.share, ctx.excitation, ctx.has_bias = share, excitation, reduce_bias is not None
        return e * scale, e * shift

    @staticmethod
    def backward(ctx: Any, of_scale: Tensor, of_shift: Tensor) -> Any:
        refuse_second()
        with in_full(of_scale):
            return Excite._gradients(ctx, of_scale, of_shift)

    @staticmethod
    def _gradients(ctx: Any, of_scale: Tensor, of_shift: Tensor) -> Any:
        first, scale, shift, squeezed, hidden, e, reduce, expand = ctx.saved_tensors
        of_e = torch.addcmul(of_scale * scale, of_shift, shift)
        u = DERIVATIVES[ctx.excitation](of_e, e)
        h = aten.threshold_backward(u.mm(expand), hidden, 0)
        s = h.mm(reduce)
        plain = (of_shift * e).add_(s).sum(0, keepdim=True)
        apart = torch.addcmul(of_scale * e, s, first, value=ctx.share).sum(0, keepdim=True)
        return (
            (s * scale).mul_(ctx.share),
            apart,
            plain,
            h.t().mm(squeezed),
            h.sum(0) if ctx.has_bias else None,
            u.t().mm(hidden),
            u.sum(0) if ctx.has_bias else None,
            None,
            None,
        )


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.mm(weight.t()) if bias is None else torch.addmm(bias, x, weight.t())
