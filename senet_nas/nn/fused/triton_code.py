"""The maps of `primitives` as Triton programs. Imported only where Triton is there.

A program has a tile of BLOCK_P pixels by BLOCK_C channels of one image, or a row of such tiles:
memory is read as (N, C, P) with the strides of either layout, of which one is 1. Sums are taken in
float32, in an order that doesn't change: parts of a map are added up afterwards, without atomics.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _act(z, ACT: tl.constexpr):
    """act(z). Comparisons are such that what isn't a number stays so."""
    y = z
    if ACT == "relu":
        y = tl.where(z < 0, 0.0, z)
    elif ACT == "relu6":
        y = tl.where(z < 0, 0.0, tl.where(z > 6, 6.0, z))
    elif ACT == "silu":
        y = z / (1 + tl.exp(-z))
    elif ACT == "hard_swish":
        inner = z + 3
        y = z * tl.where(inner < 0, 0.0, tl.where(inner > 6, 6.0, inner)) / 6
    return y


@triton.jit
def _slope(g, z, ACT: tl.constexpr):
    """g * act'(z)."""
    y = g
    if ACT == "relu":
        y = tl.where(z <= 0, 0.0, g)
    elif ACT == "relu6":
        y = tl.where((z <= 0) | (z >= 6), 0.0, g)
    elif ACT == "silu":
        s = 1 / (1 + tl.exp(-z))
        y = g * s * (1 + z * (1 - s))
    elif ACT == "hard_swish":
        y = tl.where(z < -3, 0.0, tl.where(z > 3, g, g * (z / 3 + 0.5)))
    return y


@triton.jit
def _image_and(each):
    """The image, and which of its `each` parts, by the grid's first axis: the only one on which
    more than 65,535 programs fit."""
    program = tl.program_id(0)
    return (program // each).to(tl.int64), program % each


@triton.jit
def moments(
    x,
    centre,
    first,
    second,
    images,
    channels,
    pixels,
    stride_c,
    stride_p,
    per_part,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Sums of x - centre and of its square: (parts, N, C) each."""
    n, column = _image_and(tl.cdiv(channels, BLOCK_C))
    part = tl.program_id(1)
    c = column * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = c < channels
    middle = tl.load(centre + c, mask=inside, other=0.0)
    base = x + n * channels * pixels
    one = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    two = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    for start in range(part * per_part, min(pixels, (part + 1) * per_part), BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        mask = (p < pixels)[:, None] & inside[None, :]
        at = p[:, None] * stride_p + c[None, :] * stride_c
        apart = tl.load(base + at, mask=mask, other=0.0).to(tl.float32) - middle[None, :]
        apart = tl.where(mask, apart, 0.0)
        one += apart
        two += apart * apart
    to = (part.to(tl.int64) * images + n) * channels + c
    tl.store(first + to, tl.sum(one, 0), mask=inside)
    tl.store(second + to, tl.sum(two, 0), mask=inside)


@triton.jit
def squeeze(
    x,
    centre,
    scale,
    shift,
    grad,
    total,
    images,
    channels,
    pixels,
    stride_c,
    stride_p,
    scale_row,
    shift_row,
    per_part,
    ACT: tl.constexpr,
    HAS_GRAD: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """The sum of act(z), or of grad * act(z): (parts, N, C)."""
    n, column = _image_and(tl.cdiv(channels, BLOCK_C))
    part = tl.program_id(1)
    c = column * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = c < channels
    middle = tl.load(centre + c, mask=inside, other=0.0)[None, :]
    by = tl.load(scale + n * scale_row + c, mask=inside, other=0.0)[None, :]
    plus = tl.load(shift + n * shift_row + c, mask=inside, other=0.0)[None, :]
    image = n * channels * pixels
    added = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    for start in range(part * per_part, min(pixels, (part + 1) * per_part), BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        mask = (p < pixels)[:, None] & inside[None, :]
        at = image + p[:, None] * stride_p + c[None, :] * stride_c
        z = (tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - middle) * by + plus
        y = _act(z, ACT)
        if HAS_GRAD:
            y = y * tl.load(grad + at, mask=mask, other=0.0).to(tl.float32)
        added += tl.where(mask, y, 0.0)
    to = (part.to(tl.int64) * images + n) * channels + c
    tl.store(total + to, tl.sum(added, 0), mask=inside)


@triton.jit
def apply(
    x,
    centre,
    scale,
    shift,
    shortcut,
    gate,
    y,
    channels,
    pixels,
    stride_c,
    stride_p,
    scale_row,
    shift_row,
    ACT: tl.constexpr,
    HAS_SHORTCUT: tl.constexpr,
    HAS_GATE: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """y = act(z) * gate."""
    n, tile = _image_and(tl.cdiv(pixels, BLOCK_P))
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    p = tile * BLOCK_P + tl.arange(0, BLOCK_P)
    inside = c < channels
    middle = tl.load(centre + c, mask=inside, other=0.0)[None, :]
    by = tl.load(scale + n * scale_row + c, mask=inside, other=0.0)[None, :]
    plus = tl.load(shift + n * shift_row + c, mask=inside, other=0.0)[None, :]
    mask = (p < pixels)[:, None] & inside[None, :]
    at = n * channels * pixels + p[:, None] * stride_p + c[None, :] * stride_c
    z = (tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - middle) * by + plus
    if HAS_SHORTCUT:
        z += tl.load(shortcut + at, mask=mask, other=0.0).to(tl.float32)
    out = _act(z, ACT)
    if HAS_GATE:
        out = out * tl.load(gate + n * channels + c, mask=inside, other=0.0)[None, :]
    tl.store(y + at, out.to(y.dtype.element_ty), mask=mask)


@triton.jit
def reduce(
    grad,
    x,
    centre,
    scale,
    shift,
    shortcut,
    gate,
    pooled,
    first,
    second,
    written,
    images,
    channels,
    pixels,
    stride_c,
    stride_p,
    scale_row,
    shift_row,
    per_part,
    ACT: tl.constexpr,
    HAS_SHORTCUT: tl.constexpr,
    HAS_GATE: tl.constexpr,
    HAS_POOLED: tl.constexpr,
    WRITES: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Sums of g and of g * (x - centre), (parts, N, C) each, and g where it is written."""
    n, column = _image_and(tl.cdiv(channels, BLOCK_C))
    part = tl.program_id(1)
    c = column * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = c < channels
    middle = tl.load(centre + c, mask=inside, other=0.0)[None, :]
    by = tl.load(scale + n * scale_row + c, mask=inside, other=0.0)[None, :]
    plus = tl.load(shift + n * shift_row + c, mask=inside, other=0.0)[None, :]
    if HAS_GATE:
        gates = tl.load(gate + n * channels + c, mask=inside, other=0.0)[None, :]
    if HAS_POOLED:
        pools = tl.load(pooled + n * channels + c, mask=inside, other=0.0)[None, :]
    image = n * channels * pixels
    one = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    two = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    for start in range(part * per_part, min(pixels, (part + 1) * per_part), BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        mask = (p < pixels)[:, None] & inside[None, :]
        at = image + p[:, None] * stride_p + c[None, :] * stride_c
        apart = tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - middle
        g = tl.load(grad + at, mask=mask, other=0.0).to(tl.float32)
        if HAS_GATE:
            g = g * gates
        if HAS_POOLED:
            g = g + pools
        if ACT != "identity":
            z = apart * by + plus
            if HAS_SHORTCUT:
                z += tl.load(shortcut + at, mask=mask, other=0.0).to(tl.float32)
            g = _slope(g, z, ACT)
        g = tl.where(mask, g, 0.0)
        if WRITES:
            tl.store(written + at, g.to(written.dtype.element_ty), mask=mask)
        one += g
        two += tl.where(mask, g * apart, 0.0)
    to = (part.to(tl.int64) * images + n) * channels + c
    tl.store(first + to, tl.sum(one, 0), mask=inside)
    tl.store(second + to, tl.sum(two, 0), mask=inside)


@triton.jit
def apply_backward(
    grad,
    x,
    centre,
    scale,
    shift,
    a,
    b,
    gate,
    pooled,
    dx,
    channels,
    pixels,
    stride_c,
    stride_p,
    scale_row,
    shift_row,
    a_row,
    b_row,
    ACT: tl.constexpr,
    HAS_MOMENTS: tl.constexpr,
    HAS_GATE: tl.constexpr,
    HAS_POOLED: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """dx = g * scale + a + b * (x - centre)."""
    n, tile = _image_and(tl.cdiv(pixels, BLOCK_P))
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    p = tile * BLOCK_P + tl.arange(0, BLOCK_P)
    inside = c < channels
    by = tl.load(scale + n * scale_row + c, mask=inside, other=0.0)[None, :]
    mask = (p < pixels)[:, None] & inside[None, :]
    at = n * channels * pixels + p[:, None] * stride_p + c[None, :] * stride_c
    g = tl.load(grad + at, mask=mask, other=0.0).to(tl.float32)
    if HAS_GATE:
        g = g * tl.load(gate + n * channels + c, mask=inside, other=0.0)[None, :]
    if HAS_POOLED:
        g = g + tl.load(pooled + n * channels + c, mask=inside, other=0.0)[None, :]
    if HAS_MOMENTS or ACT != "identity":
        middle = tl.load(centre + c, mask=inside, other=0.0)[None, :]
        apart = tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - middle
    if ACT != "identity":
        plus = tl.load(shift + n * shift_row + c, mask=inside, other=0.0)[None, :]
        g = _slope(g, apart * by + plus, ACT)
    out = g * by
    if HAS_MOMENTS:
        out += tl.load(a + n * a_row + c, mask=inside, other=0.0)[None, :]
        out += tl.load(b + n * b_row + c, mask=inside, other=0.0)[None, :] * apart
    tl.store(dx + at, out.to(dx.dtype.element_ty), mask=mask)
