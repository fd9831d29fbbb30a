"""Batch norm's few values between the maps, as Triton programs: see `primitives.affine`. Imported
only where Triton is there.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def batch_affine(
    first,
    second,
    weight,
    bias,
    centre,
    running_mean,
    running_var,
    scale,
    shift,
    mean,
    inverse,
    images,
    channels,
    count,
    eps,
    momentum,
    BLOCK_C: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Batch norm's scale and shift from the sums, and the running statistics brought on."""
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = c < channels
    one = tl.zeros((BLOCK_N, BLOCK_C), tl.float32)
    two = tl.zeros((BLOCK_N, BLOCK_C), tl.float32)
    for start in range(0, images, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        mask = (n < images)[:, None] & inside[None, :]
        at = n[:, None].to(tl.int64) * channels + c[None, :]
        one += tl.load(first + at, mask=mask, other=0.0)
        two += tl.load(second + at, mask=mask, other=0.0)
    m = tl.sum(one, 0) / count
    variance = tl.sum(two, 0) / count - m * m
    variance = tl.where(variance < 0, 0.0, variance)
    i = 1 / tl.sqrt(variance + eps)
    s = i * tl.load(weight + c, mask=inside, other=0.0)
    tl.store(mean + c, m, mask=inside)
    tl.store(inverse + c, i, mask=inside)
    tl.store(scale + c, s, mask=inside)
    tl.store(shift + c, tl.load(bias + c, mask=inside, other=0.0) - m * s, mask=inside)
    old = tl.load(running_mean + c, mask=inside, other=0.0)
    whole = m + tl.load(centre + c, mask=inside, other=0.0)
    tl.store(running_mean + c, old + momentum * (whole - old), mask=inside)
    old = tl.load(running_var + c, mask=inside, other=0.0)
    unbiased = variance * (count / (count - 1))
    tl.store(running_var + c, old + momentum * (unbiased - old), mask=inside)


@triton.jit
def batch_affine_backward(
    of_scale,
    of_shift,
    mean,
    inverse,
    weight,
    of_first,
    of_second,
    of_weight,
    channels,
    count,
    BLOCK_C: tl.constexpr,
):
    """The gradients of the sums and of batch norm's weight."""
    c = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = c < channels
    g, h = tl.load(of_scale + c, mask=inside), tl.load(of_shift + c, mask=inside)
    m, i = tl.load(mean + c, mask=inside), tl.load(inverse + c, mask=inside)
    product = tl.load(weight + c, mask=inside) * i
    w = (g - m * h) * i
    two = w * product * i * (-0.5 / count)
    tl.store(of_weight + c, w, mask=inside)
    tl.store(of_second + c, two, mask=inside)
    tl.store(of_first + c, product * h * (-1 / count) - 2 * m * two, mask=inside)
