"""The five maps over memory that batch norm, SE, addition and activation come down to.

Batch norm is affine in each channel, so with SE behind it the whole tail of a residual block is

    y = act(z) * gate,    z = (x - centre) * scale + shift + shortcut

with one scale and one shift for each image and channel: those of batch norm times SE's excitation
(Hu et al., arXiv 1709.01507, equations 2 to 4), whose squeeze follows from the sums that batch
norm takes anyway. `gate` stands apart only where SE reads what the activation gives (after a
depthwise convolution); otherwise it is part of scale and shift.

`centre` is a value for each channel near those of x. x enters every map as x - centre, and sums
are over these differences: so a channel's variance doesn't cancel where its mean is large.

Large tensors (x, shortcut, grad, y): (N, C, H, W), float32, bfloat16 or float16, all of one dtype
and all contiguous or all channels_last; what a map writes has the layout and dtype of x.
Small tensors are contiguous and float32: centre (C,); scale, shift, a, b (N, C) or (1, C), each
on its own; gate and pooled (N, C). Arithmetic and sums are in float32 at least, sums over H x W so
that their error doesn't grow with it. What isn't a number stays so. Implementations: `reference`
here in plain torch (float64 too, then all of it is), `cpu` in C++, `triton_kernels` on GPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What `act` may be: the names of `senet_nas.nn.layers.ACTIVATIONS`.
ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hard_swish": F.hardswish,
}


class Moments(Protocol):
    """Sums of x - centre and of its square over H x W, for each image and channel: two (N, C)."""

    def __call__(self, x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]: ...


class Squeeze(Protocol):
    """The sum of act(z) over H x W, or of grad * act(z); z without a shortcut: (N, C)."""

    def __call__(
        self,
        x: Tensor,
        centre: Tensor,
        scale: Tensor,
        shift: Tensor,
        act: str,
        grad: Tensor | None = None,
    ) -> Tensor: ...


class Apply(Protocol):
    """y = act(z) * gate, by reading x and shortcut once. gate comes without a shortcut."""

    def __call__(
        self,
        x: Tensor,
        centre: Tensor,
        scale: Tensor,
        shift: Tensor,
        shortcut: Tensor | None,
        act: str,
        gate: Tensor | None = None,
    ) -> Tensor: ...


class Reduce(Protocol):
    """Sums over H x W of g and of g * (x - centre), two (N, C), and g itself: the gradient of z,

        g = (grad * gate + pooled) * act'(z)

    gate and pooled (the gradient of act(z)'s sum over H x W, None: 0) come without a shortcut.
    z is computed anew from x and shortcut. g is written where there is a shortcut and act isn't
    the identity; otherwise the third is `grad`, untouched, and who reads it computes g anew.
    act'(0) = 0 for relu, and relu6' is 0 at 0 and at 6; other derivatives are torch's. Where an
    activation is closed g is 0, were grad infinite.
    """

    def __call__(
        self,
        grad: Tensor,
        x: Tensor,
        centre: Tensor,
        scale: Tensor,
        shift: Tensor,
        shortcut: Tensor | None,
        act: str,
        gate: Tensor | None = None,
        pooled: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]: ...


class ApplyBackward(Protocol):
    """The gradient of x: g * scale + a + b * (x - centre), with g from grad as in `Reduce`.

    Without a shortcut: where there was one, grad is the g that `Reduce` wrote and act the identity.
    a and b are the gradients of the moments, b doubled; both None where statistics are fixed.
    """

    def __call__(
        self,
        grad: Tensor,
        x: Tensor,
        centre: Tensor,
        scale: Tensor,
        shift: Tensor,
        act: str,
        a: Tensor | None,
        b: Tensor | None,
        gate: Tensor | None = None,
        pooled: Tensor | None = None,
    ) -> Tensor: ...


def affine(
    first: Tensor, second: Tensor, norm: nn.BatchNorm2d, centre: Tensor, count: int, momentum: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Batch norm's scale and shift from sums (N, C) over `count` values in all, as Ioffe and
    Szegedy's algorithm 1 (arXiv 1502.03167) has them, with the mean of x - centre and the inverse
    deviation: (C,) each. Brings the running statistics on."""
    mean = first.sum(0).div_(count)
    variance = second.sum(0).div_(count).addcmul_(mean, mean, value=-1).clamp_min_(0)
    inverse = (variance + norm.eps).rsqrt_()
    scale = inverse * norm.weight
    shift = torch.addcmul(norm.bias, mean, scale, value=-1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.lerp_(mean + centre, momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), momentum)
    return scale, shift, mean, inverse


def affine_backward(
    of_scale: Tensor, of_shift: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of the sums, the same for all images, and of the norm's weight: (C,) each."""
    whole = torch.addcmul(of_scale, mean, of_shift, value=-1)
    of_weight = whole * inverse
    product = weight * inverse
    # Of the variance: -1/2 * of_weight * weight * inverse^2.
    of_second = (of_weight * product).mul_(inverse).mul_(-0.5 / count)
    of_first = (product * of_shift).mul_(-1 / count).addcmul_(mean, of_second, value=-2)
    return of_first, of_second, of_weight


@dataclass(frozen=True)
class Kernels:
    """One implementation of the maps, and of batch norm's few values between them."""

    name: str
    moments: Moments
    squeeze: Squeeze
    apply: Apply
    reduce: Reduce
    apply_backward: ApplyBackward
    affine: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]] = affine
    affine_backward: Callable[..., tuple[Tensor, Tensor, Tensor]] = affine_backward


DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def kernels_for(x: Tensor) -> Kernels | None:
    """The kernels for a tensor's device and dtype; None where there are none, which one logged line
    says, once. The first call on a CPU may build them."""
    if x.dtype not in DTYPES:
        return None
    return _kernels(x.device, x.dtype)


@cache
def _kernels(device: torch.device, dtype: torch.dtype) -> Kernels | None:
    if device.type == "cpu":
        from senet_nas.nn.fused import cpu

        return cpu.KERNELS if cpu.available(dtype) else None
    if device.type == "cuda":
        from senet_nas.nn.fused import triton_kernels

        return triton_kernels.KERNELS if triton_kernels.available(device, dtype) else None
    return None


def _wide(x: Tensor) -> Tensor:
    """x in the precision of arithmetic."""
    return x if x.dtype == torch.float64 else x.float()


def _map(small: Tensor) -> Tensor:
    """A small tensor as it meets a large one."""
    return small[..., None, None]


def _affine(
    x: Tensor, centre: Tensor, scale: Tensor, shift: Tensor, shortcut: Tensor | None
) -> Tensor:
    z = (_wide(x) - _map(centre)) * _map(scale) + _map(shift)
    return z if shortcut is None else z + _wide(shortcut)


def _passed(act: str, g: Tensor, z: Tensor) -> Tensor:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (passed,) = torch.autograd.grad(ACTS[act](z), z, g)
    return passed


def _gradient(
    grad: Tensor, z: Tensor, act: str, gate: Tensor | None, pooled: Tensor | None
) -> Tensor:
    g = _wide(grad)
    if gate is not None:
        g = g * _map(gate)
    if pooled is not None:
        g = g + _map(pooled)
    return g if act == "identity" else _passed(act, g.expand_as(z), z)


def _moments(x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    apart = _wide(x) - _map(centre)
    return apart.sum((2, 3)), apart.square().sum((2, 3))


def _squeeze(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    act: str,
    grad: Tensor | None = None,
) -> Tensor:
    y = ACTS[act](_affine(x, centre, scale, shift, None))
    return (y if grad is None else y * _wide(grad)).sum((2, 3))


def _apply(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    shortcut: Tensor | None,
    act: str,
    gate: Tensor | None = None,
) -> Tensor:
    y = ACTS[act](_affine(x, centre, scale, shift, shortcut))
    return (y if gate is None else y * _map(gate)).to(x.dtype)


def _reduce(
    grad: Tensor,
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    shortcut: Tensor | None,
    act: str,
    gate: Tensor | None = None,
    pooled: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    g = _gradient(grad, _affine(x, centre, scale, shift, shortcut), act, gate, pooled)
    written = g.to(x.dtype) if shortcut is not None and act != "identity" else grad
    return g.sum((2, 3)), (g * (_wide(x) - _map(centre))).sum((2, 3)), written


def _apply_backward(
    grad: Tensor,
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    act: str,
    a: Tensor | None,
    b: Tensor | None,
    gate: Tensor | None = None,
    pooled: Tensor | None = None,
) -> Tensor:
    dx = _gradient(grad, _affine(x, centre, scale, shift, None), act, gate, pooled) * _map(scale)
    if a is not None:
        dx = dx + _map(a)
    if b is not None:
        dx = dx + _map(b) * (_wide(x) - _map(centre))
    return dx.to(x.dtype)


reference = Kernels("reference", _moments, _squeeze, _apply, _reduce, _apply_backward)
