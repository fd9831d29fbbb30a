"""Batch norm, SE, a shortcut and an activation as one map, and the way back through it.

The large tensors are met by three nodes of the graph alone, of which each is a call or two of the
kernels. All between them, on (N, C), is ordinary autograd, SE's own layers included:

    x -> Source -> sums -> batch norm's scale and shift -> SE's excitation -> Join -> y
            |                                                                  |
            +------------------------------ x ---------------------------------+

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

from senet_nas.nn.fused.excite import Excite, can_excite
from senet_nas.nn.fused.primitives import Kernels
from senet_nas.nn.fused.switch import in_full, refuse_second
from senet_nas.nn.squeeze_excitation import SqueezeExcitation


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


def normalise(
    x: Tensor,
    norm: nn.BatchNorm2d,
    kernels: Kernels,
    *,
    se: SqueezeExcitation | None = None,
    shortcut: Tensor | None = None,
    act: str = "identity",
    acts_before_se: bool = False,
) -> Tensor:
    """act(shortcut + se(norm(x))), or se(act(norm(x))), for x: (N, C, H, W).

    The norm's statistics are those of the batch in training, of which it keeps a running mean as
    the module does. Differentiable once.
    """
    if not norm.training and not torch.is_grad_enabled():
        return _inferred(x, norm, kernels, se, shortcut, act, acts_before_se)
    batch, mean = norm.training, norm.running_mean
    assert mean is not None
    link = Link(kernels, act, _centre(x) if batch else mean)
    pixels = x.shape[2] * x.shape[3]
    first = second = x  # for want of sums
    if batch or (se is not None and not acts_before_se):
        x, first, second = Source.apply(x, link, True)  # type: ignore[no-untyped-call]
    else:
        x = Source.apply(x, link, False)  # type: ignore[no-untyped-call]
    if batch:
        scale, shift = BatchAffine.apply(  # type: ignore[no-untyped-call]
            first, second, norm.weight, norm.bias, norm, link, pixels
        )
    else:
        scale, shift = _of_running(norm)
    gate = None
    if se is not None and acts_before_se:
        sums_of_act = Pool.apply(x, scale, shift, link)  # type: ignore[no-untyped-call]
        gate = _excitation(se, sums_of_act / pixels)
        scale, shift = scale.detach(), shift.detach()
    elif se is not None:
        scale, shift = _excited(se, first, scale, shift, 1 / pixels)
    y: Tensor = Join.apply(x, scale, shift, shortcut, gate, link)  # type: ignore[no-untyped-call]
    return y


def _inferred(
    x: Tensor,
    norm: nn.BatchNorm2d,
    kernels: Kernels,
    se: SqueezeExcitation | None,
    shortcut: Tensor | None,
    act: str,
    acts_before_se: bool,
) -> Tensor:
    """`normalise` by fixed statistics, with no way back."""
    mean = norm.running_mean
    assert mean is not None
    scale, shift = _of_running(norm)
    if se is None:
        return kernels.apply(x, mean, scale, shift, shortcut, act)
    share = 1 / (x.shape[2] * x.shape[3])
    if acts_before_se:
        gate = _excitation(se, kernels.squeeze(x, mean, scale, shift, act) * share)
        return kernels.apply(x, mean, scale, shift, None, act, gate)
    first, _ = kernels.moments(x, mean)
    gate = _excitation(se, torch.addcmul(shift, first, scale, value=share))
    return kernels.apply(x, mean, gate * scale, gate * shift, shortcut, act)


def _centre(x: Tensor) -> Tensor:
    """For each channel the middle one of three values, from images and pixels far apart: so that
    none that lies far from all others is it."""
    images, channels, pixels = x.shape[0], x.shape[1], x.shape[2] * x.shape[3]
    of_channel, of_pixel = (pixels, 1) if layout(x) is torch.contiguous_format else (1, channels)
    apart = (images - 1) // 2 * channels * pixels + (pixels - 1) // 2 * of_pixel
    three = x.detach().as_strided((3, channels), (apart, of_channel), x.storage_offset())
    return three.float().median(0).values


def _of_running(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt() * norm.weight
    return scale[None], norm.bias[None]


def _excitation(se: SqueezeExcitation, squeezed: Tensor) -> Tensor:
    """(N, C) to (N, C), in SE's own dtype without autocast: these few values cost nothing, and all
    pixels hang on them."""
    with in_full(squeezed):
        narrow = next(se.parameters(), squeezed).dtype  # bfloat16 networks with float32 norms
        return se.excitation(squeezed.to(narrow)).float()


def _excited(
    se: SqueezeExcitation, first: Tensor, scale: Tensor, shift: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """Batch norm's scale and shift times the excitation, (N, C). first: sums of x - centre."""
    with in_full(first):
        if can_excite(se, first):
            layers = se.reduce.weight, se.reduce.bias, se.expand.weight, se.expand.bias
            found: tuple[Tensor, Tensor] = Excite.apply(  # type: ignore[no-untyped-call]
                first, scale, shift, *layers, share, se.value.excitation
            )
            return found
        excitation = _excitation(se, torch.addcmul(shift, first, scale, value=share))
        return excitation * scale, excitation * shift


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
