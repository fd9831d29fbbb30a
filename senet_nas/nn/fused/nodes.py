"""A tail's nodes of the graph, each a call or two of the kernels: the large tensors are met by
these alone.

On the way back `Join` gives the gradients of scale and shift, and in place of x's gradient what
`Source` needs for it; `Source` comes last, knows the gradients of the sums, and writes x's gradient
once. Where the activation stands before SE (after a depthwise convolution), `Pool` stands between:
it gives SE the means of act(z), and on the way back scale's and shift's gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from senet_nas.nn.fused.primitives import Kernels
from senet_nas.nn.fused.switch import refuse_many, refuse_second


@dataclass(slots=True, eq=False)
class Link:
    """What the nodes of one tail tell each other.

    masked: what reaches `Source` is the gradient of z already. grad: that of y, from `Join` to
    `Pool`; pooled: that of act(z)'s sums, from `Pool` to `Source`.
    """

    kernels: Kernels
    act: str
    centre: Tensor
    masked: bool = False
    scale: Tensor | None = None
    shift: Tensor | None = None
    gate: Tensor | None = None
    grad: Tensor | None = None
    pooled: Tensor | None = None


class BatchAffine(Function):
    """Batch norm's scale and shift (1, C) from the sums (N, C), by `primitives.affine`.

    Written out both ways, as autograd takes ten times as long for these few values.
    """

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        second: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm: nn.BatchNorm2d,
        link: Link,
        pixels: int,
    ) -> tuple[Tensor, Tensor]:
        count = first.shape[0] * pixels
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        momentum = norm.momentum
        if momentum is None:  # the plain mean over all batches
            momentum = 1.0 / float(norm.num_batches_tracked)
        scale, shift, mean, inverse = link.kernels.affine(
            first, second, norm, link.centre, count, momentum
        )
        ctx.save_for_backward(mean, inverse, weight)
        ctx.images, ctx.count, ctx.kernels = first.shape[0], count, link.kernels
        return scale[None], shift[None]

    @staticmethod
    def backward(ctx: Any, of_scale: Tensor, of_shift: Tensor) -> Any:
        refuse_second()
        mean, inverse, weight = ctx.saved_tensors
        of_first, of_second, of_weight = ctx.kernels.affine_backward(
            of_scale[0], of_shift[0], mean, inverse, weight, ctx.count
        )
        expanded = (one.expand(ctx.images, -1) for one in (of_first, of_second))
        return (*expanded, of_weight, of_shift[0], None, None, None)


class Source(Function):
    """x to x, and to the sums of x - centre and its square, if they are wanted."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, link: Link, wants_sums: bool) -> Any:
        ctx.link = link
        ctx.save_for_backward(x)
        same = x.view_as(x)
        return (same, *link.kernels.moments(x, link.centre)) if wants_sums else same

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *of_sums: Tensor) -> Any:
        refuse_second()
        link: Link = ctx.link
        (x,) = ctx.saved_tensors
        assert link.scale is not None
        assert link.shift is not None
        act = "identity" if link.masked else link.act
        a, b = (_table(of_sums[0]), 2 * _table(of_sums[1])) if of_sums else (None, None)
        dx = link.kernels.apply_backward(
            grad, x, link.centre, link.scale, link.shift, act, a, b, link.gate, link.pooled
        )
        link.grad = link.pooled = None
        return dx, None, None


class Pool(Function):
    """The sums of act(z) over H x W.

    x's part of their gradient is left to `Source`, on `link`. x is an input nonetheless, so that
    this node runs, and before `Source`, wherever x's gradient is asked for.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, link: Link) -> Tensor:
        ctx.link = link
        ctx.save_for_backward(x)
        return link.kernels.squeeze(x, link.centre, scale, shift, link.act)

    @staticmethod
    def backward(ctx: Any, of_sums: Tensor) -> Any:
        refuse_second()
        link: Link = ctx.link
        (x,) = ctx.saved_tensors
        assert link.grad is not None
        assert link.scale is not None
        assert link.shift is not None
        link.pooled = of_sums.contiguous()
        apart, plain = _affine_gradients(link, x, link.grad, None)[:2]
        return None, apart, plain, None


class Join(Function):
    """y = act(z) * gate with z = (x - centre) * scale + shift + shortcut."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        shortcut: Tensor | None,
        gate: Tensor | None,
        link: Link,
    ) -> Tensor:
        ctx.link = link
        # Detached: what hangs on the link must not hold the graph that holds the link.
        link.scale, link.shift = scale.detach(), shift.detach()
        link.gate = None if gate is None else gate.detach()
        link.masked = shortcut is not None
        ctx.save_for_backward(x, shortcut if link.act != "identity" else None)
        ctx.has_shortcut = shortcut is not None
        return link.kernels.apply(x, link.centre, scale, shift, shortcut, link.act, gate)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        refuse_second()
        refuse_many(grad)
        link: Link = ctx.link
        x, shortcut = ctx.saved_tensors
        grad = like(grad, x)
        if link.gate is not None:
            assert link.scale is not None
            assert link.shift is not None
            link.grad = grad
            of_gate = link.kernels.squeeze(x, link.centre, link.scale, link.shift, link.act, grad)
            return grad, None, None, None, of_gate, None
        of_scale, of_shift, g = _affine_gradients(link, x, grad, shortcut)
        return g, of_scale, of_shift, g if ctx.has_shortcut else None, None, None


def _affine_gradients(
    link: Link, x: Tensor, grad: Tensor, shortcut: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of scale and shift, in their shapes, and g."""
    scale, shift = link.scale, link.shift
    assert scale is not None
    assert shift is not None
    plain, apart, g = link.kernels.reduce(
        grad, x, link.centre, scale, shift, shortcut, link.act, link.gate, link.pooled
    )
    if scale.shape[0] == 1:
        apart = apart.sum(0, keepdim=True)
    if shift.shape[0] == 1:
        plain = plain.sum(0, keepdim=True)
    return apart, plain, g


def _table(values: Tensor) -> Tensor:
    """(N, C) as the kernels take it, (1, C) where it was expanded from that."""
    return values[:1] if values.stride(0) == 0 else values.contiguous()


def layout(x: Tensor) -> torch.memory_format | None:
    """contiguous or channels_last; None where x is neither."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format if x.is_contiguous() else None


def like(tensor: Tensor, x: Tensor) -> Tensor:
    """A tensor in the layout of x."""
    return tensor.contiguous(memory_format=layout(x) or torch.contiguous_format)
