"""The maps of `primitives` on GPUs, by Triton: how its programs (`triton_code`) are started."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from senet_nas.nn.fused.primitives import Kernels, affine

logger = logging.getLogger(__name__)

TILE = 2048  # elements of a tile: 16 for each thread of four warps
MOST_CHANNELS = 128  # of a tile, in channels_last memory
PROGRAMS = 1024  # started at least, where there is enough to do: several for each multiprocessor


@cache
def available(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether Triton's programs run on a GPU. Why not is logged: Triton may not be there, and it
    needs a C compiler besides."""
    try:
        import triton  # noqa: F401

        one = torch.ones(1, 1, 1, 1, dtype=dtype, device=device)
        row = torch.ones(1, 1, dtype=torch.float32, device=device)
        _apply(one, row[0], row, row, None, "relu")
    except Exception as error:  # Triton, the compiler that it starts, the driver: each has its own
        problem = f"{type(error).__name__}: {error}".strip().splitlines()[-1]
        logger.warning("SE runs in separate passes on %s, without Triton: %s", device, problem)
        return False
    return True


def _code() -> Any:
    from senet_nas.nn.fused import triton_code

    return triton_code


def _affine_code() -> Any:
    from senet_nas.nn.fused import triton_code_affine

    return triton_code_affine


class _Layout:
    """A tensor as (N, C, P): sizes, strides, tiles."""

    def __init__(self, x: Tensor) -> None:
        self.images, self.channels = x.shape[:2]
        self.pixels = x.shape[2] * x.shape[3]
        if x.is_contiguous():
            self.strides = self.pixels, 1
            self.block_p = min(_power(self.pixels), TILE)
            self.block_c = min(max(1, TILE // self.block_p), _power(self.channels))
        else:
            self.strides = 1, self.channels
            self.block_c = min(_power(self.channels), MOST_CHANNELS)
            self.block_p = min(max(1, TILE // self.block_c), _power(self.pixels))
        self.columns = _parts(self.channels, self.block_c)

    def tiles(self) -> tuple[int, int]:
        """The grid of programs with one tile each. On the first axis alone there is room for more
        than 65,535, so images are on it."""
        return self.images * _parts(self.pixels, self.block_p), self.columns

    def rows(self) -> tuple[tuple[int, int], int]:
        """The grid of programs that each sum up a part of a map, and the pixels of a part."""
        most = _parts(self.pixels, self.block_p)
        parts = min(most, _parts(PROGRAMS, max(1, self.columns * self.images)))
        each = _parts(most, parts) * self.block_p
        return (self.images * self.columns, _parts(self.pixels, each)), each


def _power(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _parts(number: int, size: int) -> int:
    return -(-number // size)


def _row(small: Tensor) -> int:
    """What to add to come to the next image's values; 0 where all share one row."""
    return 0 if small.shape[0] == 1 else small.shape[1]


def _sums(x: Tensor, parts: int) -> Tensor:
    shape = (parts, x.shape[0], x.shape[1])
    return torch.empty(shape, dtype=torch.float32, device=x.device)


def _total(parts: Tensor) -> Tensor:
    return parts[0] if len(parts) == 1 else parts.sum(0)


def _moments(x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    at = _Layout(x)
    grid, each = at.rows()
    first, second = _sums(x, grid[1]), _sums(x, grid[1])
    with _on(x):
        _code().moments[grid](
            *(x, centre, first, second, at.images, at.channels, at.pixels, *at.strides, each),
            BLOCK_C=at.block_c,
            BLOCK_P=at.block_p,
        )
    return _total(first), _total(second)


def _squeeze(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    act: str,
    grad: Tensor | None = None,
) -> Tensor:
    at = _Layout(x)
    grid, each = at.rows()
    total = _sums(x, grid[1])
    with _on(x):
        _code().squeeze[grid](
            *(x, centre, scale, shift, x if grad is None else grad, total),
            *(at.images, at.channels, at.pixels, *at.strides, _row(scale), _row(shift), each),
            ACT=act,
            HAS_GRAD=grad is not None,
            BLOCK_C=at.block_c,
            BLOCK_P=at.block_p,
        )
    return _total(total)


def _apply(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    shortcut: Tensor | None,
    act: str,
    gate: Tensor | None = None,
) -> Tensor:
    at, y = _Layout(x), torch.empty_like(x)
    with _on(x):
        _code().apply[at.tiles()](
            *(x, centre, scale, shift),
            *(x if shortcut is None else shortcut, centre if gate is None else gate, y),
            *(at.channels, at.pixels, *at.strides, _row(scale), _row(shift)),
            ACT=act,
            HAS_SHORTCUT=shortcut is not None,
            HAS_GATE=gate is not None,
            BLOCK_C=at.block_c,
            BLOCK_P=at.block_p,
        )
    return y


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
    at = _Layout(x)
    grid, each = at.rows()
    first, second = _sums(x, grid[1]), _sums(x, grid[1])
    writes = shortcut is not None and act != "identity"
    written = torch.empty_like(x) if writes else grad
    with _on(x):
        _code().reduce[grid](
            *(grad, x, centre, scale, shift, x if shortcut is None else shortcut),
            *(centre if gate is None else gate, centre if pooled is None else pooled),
            *(first, second, written, at.images, at.channels, at.pixels, *at.strides),
            *(_row(scale), _row(shift), each),
            ACT=act,
            HAS_SHORTCUT=shortcut is not None,
            HAS_GATE=gate is not None,
            HAS_POOLED=pooled is not None,
            WRITES=writes,
            BLOCK_C=at.block_c,
            BLOCK_P=at.block_p,
        )
    return _total(first), _total(second), written


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
    at, dx = _Layout(x), torch.empty_like(x)
    has_moments = a is not None and b is not None
    first, second = (a, b) if a is not None and b is not None else (scale, scale)
    with _on(x):
        _code().apply_backward[at.tiles()](
            *(grad, x, centre, scale, shift, first, second),
            *(centre if gate is None else gate, centre if pooled is None else pooled, dx),
            *(at.channels, at.pixels, *at.strides),
            *(_row(scale), _row(shift), _row(first), _row(second)),
            ACT=act,
            HAS_MOMENTS=has_moments,
            HAS_GATE=gate is not None,
            HAS_POOLED=pooled is not None,
            BLOCK_C=at.block_c,
            BLOCK_P=at.block_p,
        )
    return dx


_AFFINE_CHANNELS = 32  # of a program
_AFFINE_IMAGES = 64


def _affine(
    first: Tensor, second: Tensor, norm: nn.BatchNorm2d, centre: Tensor, count: int, momentum: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `primitives.affine`: one start in place of fourteen."""
    assert norm.running_var is not None
    if not (norm.weight.is_contiguous() and norm.running_var.is_contiguous()):
        return affine(first, second, norm, centre, count, momentum)
    images, channels = first.shape
    scale, shift, mean, inverse = first.new_empty((4, channels), dtype=torch.float32)
    with _on(first):
        _affine_code().batch_affine[(_parts(channels, _AFFINE_CHANNELS),)](
            *(first, second, norm.weight, norm.bias, centre, norm.running_mean, norm.running_var),
            *(scale, shift, mean, inverse, images, channels, float(count), norm.eps, momentum),
            BLOCK_C=_AFFINE_CHANNELS,
            BLOCK_N=_AFFINE_IMAGES,
        )
    return scale, shift, mean, inverse


def _affine_backward(
    of_scale: Tensor, of_shift: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `primitives.affine_backward`."""
    channels = len(mean)
    of_first, of_second, of_weight = mean.new_empty((3, channels), dtype=torch.float32)
    with _on(mean):
        _affine_code().batch_affine_backward[(_parts(channels, 256),)](
            *(of_scale.contiguous(), of_shift.contiguous(), mean, inverse, weight.contiguous()),
            *(of_first, of_second, of_weight, channels, float(count)),
            BLOCK_C=256,
        )
    return of_first, of_second, of_weight


def _on(x: Tensor) -> Any:
    """Inside, programs start on the tensor's GPU."""
    from contextlib import nullcontext

    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


KERNELS = Kernels(
    "triton",
    _moments,
    _squeeze,
    _apply,
    _reduce,
    _apply_backward,
    _affine,
    _affine_backward,
)
