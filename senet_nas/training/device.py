"""The device that training runs on, and what it can do."""

from __future__ import annotations

import torch

from search_space.errors import InputError


def as_device(device: torch.device | str | None) -> torch.device:
    """The device of a name such as `cpu` or `cuda:1`; for None a GPU where there is one, else the
    CPU. Raises `InputError` where there is none of that name."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).split("\n", maxsplit=1)[0]
        raise InputError(f"device {str(device)!r} cannot be used: {problem}") from None
    return found


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(bool(getattr(torch.cpu, name, bool)()) for name in names)
    return False
