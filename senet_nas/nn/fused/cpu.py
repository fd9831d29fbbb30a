"""The kernels on CPUs: C++ (cpu.cpp), which the machine's own compiler builds on first use."""

from __future__ import annotations

import ctypes
import logging
from functools import cache

import torch
from torch import Tensor, nn

from senet_nas.nn.fused.build import library
from senet_nas.nn.fused.primitives import ACTS, Kernels, affine, affine_backward

log = logging.getLogger(__name__)

_TYPES = {torch.float32: "float", torch.bfloat16: "BFloat16", torch.float16: "Half"}
_ACTS = {name: number for number, name in enumerate(ACTS)}

_Pointer = ctypes.c_void_p
_Size = ctypes.c_int64
_LARGE = ("x", "grad", "shortcut", "out")
_TABLES = ("centre", "scale", "shift", "gate", "pooled", "a", "b")


class _Call(ctypes.Structure):
    """`Call` of cpu.cpp: shape, tables with their steps, pointers."""

    _fields_ = (
        *((name, _Size) for name in ("images", "channels", "pixels")),
        ("threads", ctypes.c_int),
        ("channels_last", ctypes.c_bool),
        *((name, _Pointer) for name in _LARGE),
        *((name, _Pointer) for name in ("one", "two")),
        *((f"{name}{part}", kind) for name in _TABLES for part, kind in
          (("", _Pointer), ("_step", _Size))),
    )  # fmt: skip


class _Affine(ctypes.Structure):
    """`AffineCall` of cpu.cpp."""

    _fields_ = (
        *((name, _Size) for name in ("images", "channels")),
        *((name, ctypes.c_double) for name in ("count", "eps", "momentum")),
        *((name, _Pointer) for name in ("first", "second", "weight", "bias", "centre")),
        *((name, _Pointer) for name in ("running_mean", "running_var")),
        *((name, _Pointer) for name in ("scale", "shift", "mean", "inverse")),
    )


class _AffineBackward(ctypes.Structure):
    """`AffineBackwardCall` of cpu.cpp."""

    _fields_ = (
        ("channels", _Size),
        ("count", ctypes.c_double),
        *((name, _Pointer) for name in ("of_scale", "of_shift", "mean", "inverse", "weight")),
        *((name, _Pointer) for name in ("of_first", "of_second", "of_weight")),
    )


@cache
def available(dtype: torch.dtype) -> bool:
    """Whether there are kernels for this dtype; the first question may build them. Where there are
    none, one logged line says why."""
    try:
        _library(dtype)
    except (RuntimeError, OSError) as error:
        log.warning("plain modules are used on the CPU, for want of fused kernels: %s", error)
        return False
    return True


_loaded: dict[torch.dtype, ctypes.CDLL] = {}


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    return _loaded.setdefault(dtype, library(_TYPES[dtype]))


def _run(
    name: str,
    x: Tensor,
    act: str,
    large: tuple[Tensor | None, ...],
    sums: tuple[Tensor, Tensor] | None,
    tables: tuple[Tensor | None, ...],
) -> None:
    """Call a map. large: grad, shortcut and output. tables: as in `_TABLES`, the last may be left
    out. Raises `ValueError` for what C++ would misread."""
    images, channels, height, width = x.shape
    last = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    pointers: list[int | None] = []
    for tensor in (x, *large):
        if tensor is None:
            pointers.append(None)
            continue
        if (
            tensor.dtype is not x.dtype
            or tensor.shape != x.shape
            or not tensor.is_contiguous(memory_format=layout)
        ):
            raise ValueError("large tensors differ from x in shape, dtype or layout")
        pointers.append(tensor.data_ptr())
    pointers += (None, None) if sums is None else (sums[0].data_ptr(), sums[1].data_ptr())
    whole = images * channels
    for table in tables:
        if table is None:
            pointers += (None, 0)
            continue
        size = table.numel()
        if table.dtype is not torch.float32 or not table.is_contiguous():
            raise ValueError("tables must be contiguous and float32")
        if table.shape[-1] != channels or size not in (channels, whole):
            raise ValueError(f"tables must be {images} x {channels}, not {tuple(table.shape)}")
        pointers += (table.data_ptr(), 0 if size == channels else channels)
    threads = torch.get_num_threads()
    call = _Call(images, channels, height * width, threads, last, *pointers)
    if getattr(_library(x.dtype), name)(ctypes.byref(call), _ACTS[act]):
        raise ValueError(f"no fused kernel has the activation {act!r}")


def _sums(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two new (N, C) to write to."""
    one, two = _new(x, 2, *x.shape[:2]).unbind()
    return one, two


def _new(x: Tensor, *size: int) -> Tensor:
    """What C++ writes floats to: not of torch's default dtype or device, which users may set."""
    return x.new_empty(size, dtype=torch.float32)


def _moments(x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    sums = _sums(x)
    _run("senet_moments", x, "identity", (None, None, None), sums, (centre,))
    return sums


def _squeeze(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    act: str,
    grad: Tensor | None = None,
) -> Tensor:
    sums = _sums(x)
    _run("senet_squeeze", x, act, (grad, None, None), sums, (centre, scale, shift))
    return sums[0]


def _apply(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    shortcut: Tensor | None,
    act: str,
    gate: Tensor | None = None,
) -> Tensor:
    y = torch.empty_like(x)
    _run("senet_apply", x, act, (None, shortcut, y), None, (centre, scale, shift, gate))
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
    if act == "identity":
        shortcut = None
    sums = _sums(x)
    written = None if shortcut is None else torch.empty_like(x)
    tables = (centre, scale, shift, *_gated(x, gate, pooled))
    _run("senet_reduce", x, act, (grad, shortcut, written), sums, tables)
    return (*sums, grad if written is None else written)


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
    dx = torch.empty_like(x)
    tables = (centre, scale, shift, *_gated(x, gate, pooled), a, b)
    _run("senet_apply_backward", x, act, (grad, None, dx), None, tables)
    return dx


def _gated(
    x: Tensor, gate: Tensor | None, pooled: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Both or neither, which is all that C++ knows."""
    if gate is None and pooled is None:
        return None, None
    gate = _new(x, *x.shape[:2]).fill_(1) if gate is None else gate
    return gate, _new(x, *x.shape[:2]).zero_() if pooled is None else pooled


def _affine(
    first: Tensor, second: Tensor, norm: nn.BatchNorm2d, centre: Tensor, count: int, momentum: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `primitives.affine`: one call in place of a dozen."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    tensors = norm.weight, norm.bias, centre, norm.running_mean, norm.running_var
    if not all(map(_is_table, tensors)):
        return affine(first, second, norm, centre, count, momentum)
    images, channels = first.shape
    scale, shift, mean, inverse = made = _new(first, 4, channels).unbind()
    pointers = (tensor.data_ptr() for tensor in (first, second, *tensors, *made))
    call = _Affine(images, channels, count, norm.eps, momentum, *pointers)
    _any_library().senet_affine(ctypes.byref(call))
    return scale, shift, mean, inverse


def _affine_backward(
    of_scale: Tensor, of_shift: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `primitives.affine_backward`."""
    tensors = of_scale, of_shift, mean, inverse, weight
    if not all(map(_is_table, tensors)):
        return affine_backward(of_scale, of_shift, mean, inverse, weight, count)
    of_first, of_second, of_weight = made = _new(mean, 3, len(mean)).unbind()
    pointers = (tensor.data_ptr() for tensor in (*tensors, *made))
    call = _AffineBackward(len(mean), count, *pointers)
    _any_library().senet_affine_backward(ctypes.byref(call))
    return of_first, of_second, of_weight


def _is_table(tensor: Tensor) -> bool:
    return tensor.dtype is torch.float32 and tensor.is_contiguous()


@cache
def _any_library() -> ctypes.CDLL:
    """One that is built: all have what doesn't depend on the type."""
    return next(iter(_loaded.values()))


KERNELS = Kernels(
    "cpu",
    _moments,
    _squeeze,
    _apply,
    _reduce,
    _apply_backward,
    _affine,
    _affine_backward,
)
