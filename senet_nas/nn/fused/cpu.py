"""The kernels on CPUs: C++ (cpu.cpp), which the machine's own compiler builds on first use."""

from __future__ import annotations

import ctypes
import logging
from functools import cache

import torch
from torch import Tensor

from senet_nas.nn.fused.build import BuildError, library
from senet_nas.nn.fused.primitives import ACTS, Kernels

log = logging.getLogger(__name__)

_TYPES = {torch.float32: "float", torch.bfloat16: "BFloat16", torch.float16: "Half"}
_ACTS = {name: number for number, name in enumerate(ACTS)}

_Pointer = ctypes.c_void_p
_Size = ctypes.c_int64
_TABLES = ("centre", "scale", "shift", "gate", "pooled", "a", "b")


class _Call(ctypes.Structure):
    """`Call` of cpu.cpp: shape, tables with their steps, pointers."""

    _fields_ = (
        ("images", _Size),
        ("channels", _Size),
        ("pixels", _Size),
        ("threads", ctypes.c_int),
        ("channels_last", ctypes.c_bool),
        *((f"{name}{part}", kind) for name in _TABLES for part, kind in
          (("", _Pointer), ("_step", _Size))),
        *((name, _Pointer) for name in ("x", "grad", "shortcut", "out", "one", "two")),
    )  # fmt: skip


@cache
def available(dtype: torch.dtype) -> bool:
    """Whether there are kernels for this dtype; the first question may build them. Where there are
    none, one logged line says why."""
    try:
        _library(dtype)
    except (BuildError, OSError) as error:
        log.warning("plain modules are used on the CPU, for want of fused kernels: %s", error)
        return False
    return True


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    return library(_TYPES[dtype])


def _run(name: str, call: _Call, dtype: torch.dtype, act: str = "identity") -> None:
    if getattr(_library(dtype), f"senet_{name}")(ctypes.byref(call), _ACTS[act]):
        raise ValueError(f"no fused kernel has the activation {act!r}")


class _Checked:
    """Fills in a call, and keeps its tensors. Raises `ValueError` for what C++ would misread."""

    def __init__(self, x: Tensor) -> None:
        images, channels, height, width = x.shape
        self.x, self.shape = x, (images, channels)
        self._kept: list[Tensor] = []
        last = x.is_contiguous(memory_format=torch.channels_last)
        self._format = torch.channels_last if last else torch.contiguous_format
        self.call = _Call(images, channels, height * width, torch.get_num_threads(), last)
        self.large(x=x)

    def large(self, **tensors: Tensor | None) -> None:
        """Tensors like x."""
        x = self.x
        for name, tensor in tensors.items():
            if tensor is None:
                continue
            if (
                tensor.dtype is not x.dtype
                or tensor.shape != x.shape
                or not tensor.is_contiguous(memory_format=self._format)
            ):
                raise ValueError(f"{name} differs from x in shape, dtype or layout")
            setattr(self.call, name, tensor.data_ptr())

    def tables(self, **tensors: Tensor | None) -> None:
        """(N, C), (1, C) or (C,)."""
        images, channels = self.shape
        call = self.call
        for name, tensor in tensors.items():
            if tensor is None:
                continue
            size = tensor.numel()
            if (
                tensor.dtype is not torch.float32
                or not tensor.is_contiguous()
                or tensor.shape[-1] != channels
                or size not in (channels, images * channels)
            ):
                raise ValueError(f"{name} isn't a float32 table of {images} x {channels}")
            self._kept.append(tensor)
            setattr(call, name, tensor.data_ptr())
            if size != channels:
                setattr(call, f"{name}_step", channels)

    def sums(self) -> tuple[Tensor, Tensor]:
        """Two new (N, C) to write to."""
        both = torch.empty(2, *self.shape)
        one, two = both.unbind()
        self.call.one, self.call.two = one.data_ptr(), two.data_ptr()
        return one, two

    def output(self) -> Tensor:
        """A new tensor like x to write to."""
        out = torch.empty_like(self.x)
        self.call.out = out.data_ptr()
        return out


def _moments(x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    checked = _Checked(x)
    checked.tables(centre=centre)
    sums = checked.sums()
    _run("moments", checked.call, x.dtype)
    return sums


def _squeeze(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    act: str,
    grad: Tensor | None = None,
) -> Tensor:
    checked = _Checked(x)
    checked.large(grad=grad)
    checked.tables(centre=centre, scale=scale, shift=shift)
    total, _ = checked.sums()
    _run("squeeze", checked.call, x.dtype, act)
    return total


def _apply(
    x: Tensor,
    centre: Tensor,
    scale: Tensor,
    shift: Tensor,
    shortcut: Tensor | None,
    act: str,
    gate: Tensor | None = None,
) -> Tensor:
    checked = _Checked(x)
    checked.large(shortcut=shortcut)
    checked.tables(centre=centre, scale=scale, shift=shift, gate=gate)
    y = checked.output()
    _run("apply", checked.call, x.dtype, act)
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
    checked = _Checked(x)
    if act == "identity":
        shortcut = None
    checked.large(grad=grad, shortcut=shortcut)
    checked.tables(centre=centre, scale=scale, shift=shift, **_gated(checked, gate, pooled))
    one, two = checked.sums()
    written = grad if shortcut is None else checked.output()
    _run("reduce", checked.call, x.dtype, act)
    return one, two, written


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
    checked = _Checked(x)
    checked.large(grad=grad)
    checked.tables(centre=centre, scale=scale, shift=shift, a=a, b=b)
    checked.tables(**_gated(checked, gate, pooled))
    dx = checked.output()
    _run("apply_backward", checked.call, x.dtype, act)
    return dx


def _gated(checked: _Checked, gate: Tensor | None, pooled: Tensor | None) -> dict[str, Tensor]:
    """Both or neither, which is all that C++ knows."""
    if gate is None and pooled is None:
        return {}
    gate = torch.ones(checked.shape) if gate is None else gate
    return {"gate": gate, "pooled": torch.zeros(checked.shape) if pooled is None else pooled}


KERNELS = Kernels("cpu", _moments, _squeeze, _apply, _reduce, _apply_backward)
