"""Mixed precision: which arithmetic a device does well, and which layers opt out of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from senet_nas.training.device import has_bfloat16


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto`, `bf16` or `fp32` as a dtype: `auto` is bfloat16 on devices with hardware for it."""
    if precision == "auto":
        precision = "bf16" if has_bfloat16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


@contextmanager
def mixed_precision(network: nn.Module, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Inside, `network` computes in `dtype`; its weights stay in float32."""
    with slow_layers_in_float32(network, dtype, device), autocast(dtype, device):
        yield


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """Inside, layers compute in `dtype`. For one forward pass: a backward pass stands outside."""
    # No cache: it keeps weights as they were first cast, blind to the optimiser's steps, for as
    # long as any context around this one is open.
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False)


@contextmanager
def slow_layers_in_float32(
    network: nn.Module, dtype: torch.dtype, device: torch.device
) -> Iterator[None]:
    """Inside, layers that `dtype` would slow down on this device stay out of `autocast`.

    On CPUs, depthwise convolutions with a stride stay in float32: their backward pass in bfloat16
    takes some 14 times as long (torch 2.14), which alone made training slower than in float32.
    """
    slow: list[nn.Conv2d] = []
    if device.type == "cpu" and dtype != torch.float32:
        convolutions = (m for m in network.modules() if type(m) is nn.Conv2d)
        # Not those whose `forward` is replaced already, by a context around this one or a user.
        slow = [m for m in convolutions if _is_strided_depthwise(m) and "forward" not in vars(m)]
    for module in slow:
        module.forward = partial(_in_float32, module)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in slow:
            del module.forward  # the class's own again


def _in_float32(module: nn.Conv2d, x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d.forward(module, x.float()).to(x.dtype)


def _is_strided_depthwise(module: nn.Conv2d) -> bool:
    return module.groups == module.in_channels > 1 < max(module.stride)
