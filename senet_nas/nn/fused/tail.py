"""Batch norm, SE, a shortcut and an activation as one map, and the way back through it.

The large tensors are met by three nodes of the graph alone (`nodes.py`). All between them, on
(N, C), is ordinary autograd, SE's own layers included:

    x -> Source -> sums -> batch norm's scale and shift -> SE's excitation -> Join -> y
            |                                                                  |
            +------------------------------ x ---------------------------------+
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from senet_nas.nn.fused.excite import Excite, can_excite
from senet_nas.nn.fused.nodes import BatchAffine, Join, Link, Pool, Source, layout
from senet_nas.nn.fused.primitives import Kernels
from senet_nas.nn.fused.switch import in_full
from senet_nas.nn.squeeze_excitation import SqueezeExcitation


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
