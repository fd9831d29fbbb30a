"""The device that training runs on, and what it can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Inside, torch computes with so many threads of the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gpus_of_workers(gpus: float | None, device: str | None) -> float:
    """GPUs for each of several workers where nobody says how many: one where the device named, or
    this machine, has any. Raises `InputError` for a CPU with GPUs."""
    kind = as_device(device).type if gpus is None or device == "cpu" else "cuda"
    if gpus and kind == "cpu":
        raise InputError(f"{gpus:g} GPUs for each worker don't go with the device 'cpu'")
    return float(kind == "cuda") if gpus is None else gpus


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(bool(getattr(torch.cpu, name, bool)()) for name in names)
    return False
