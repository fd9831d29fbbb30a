"""Milliseconds of modules, all of which take turns."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from search_space import InputError, SearchSpace

WARM_UP = 3  # rounds that aren't counted
Precision = Literal["fp32", "bf16"]
Clock = Literal["wall", "cpu"]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Timed = tuple[nn.Module, tuple[int, ...]]  # a module and the shape that it reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How modules are timed. threads: of the CPU, torch's own number where None. bf16: autocast,
    as the trainer and `evaluate` run. clock: cpu counts the process's CPU time on one thread, for
    a machine that does other things. repeats: rounds that count."""

    device: str = "cpu"
    threads: int | None = None
    batch_size: int = 1
    precision: Precision = "fp32"
    clock: Clock = "wall"
    repeats: int = 20


OF_TIMING = tuple(entry.name for entry in fields(Timing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions(Timing):
    """What a table's figures hold for."""

    space: str
    fingerprint: str
    image_size: int
    classes: int
    machine: str
    torch: str


def conditions_here(
    space: SearchSpace,
    *,
    image_size: int,
    classes: int,
    device: str = "cpu",
    threads: int | None = None,
    batch_size: int = 1,
    precision: Precision = "fp32",
    clock: Clock = "wall",
    repeats: int = 20,
) -> Conditions:
    """On this machine; threads: torch's own number, if not given.

    Raises `InputError` for the CPU's clock with several threads, or with a GPU.
    """
    threads = threads or torch.get_num_threads()
    if clock == "cpu" and (threads > 1 or torch.device(device).type != "cpu"):
        raise InputError("the clock cpu goes with one thread of the CPU; give --threads 1")
    return Conditions(
        space=space.name,
        fingerprint=space.fingerprint(),
        image_size=image_size,
        classes=classes,
        device=device,
        machine=machine(device),
        threads=threads,
        batch_size=batch_size,
        precision=precision,
        clock=clock,
        repeats=repeats,
        torch=torch.__version__,
    )


def measured(modules: Sequence[Timed], timing: Timing) -> list[float]:
    """Milliseconds of an inference of each module (channels_last, evaluation mode), the median of
    rounds in which all take turns."""
    device = torch.device(timing.device)
    clock = CLOCKS[timing.clock]
    ready = [_on(module, shape, timing.batch_size, device) for module, shape in modules]
    times: list[list[float]] = [[] for _ in ready]
    bf16 = timing.precision == "bf16"
    before = torch.get_num_threads()
    torch.set_num_threads(timing.threads or before)
    try:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for turn in range(-WARM_UP, timing.repeats):
                for (module, images), found in zip(ready, times, strict=True):
                    seconds = _seconds(module, images, clock)
                    if turn >= 0:
                        found.append(seconds)
    finally:
        torch.set_num_threads(before)
    return [1000 * statistics.median(found) for found in times]


def _on(
    module: nn.Module, shape: tuple[int, ...], batch_size: int, device: torch.device
) -> tuple[nn.Module, Tensor]:
    module = module.to(device).eval()
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(batch_size, *shape, device=device)
    return module, images.to(memory_format=torch.channels_last)


def _seconds(module: nn.Module, images: Tensor, clock: Callable[[], float]) -> float:
    images.mul_(1)  # the block before has just written it: it is in the cache
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
        began = clock()
        module(images)
        torch.cuda.synchronize(images.device)
        return clock() - began
    began = clock()
    module(images)
    return clock() - began


def machine(device: str) -> str:
    """The processor, or the GPU, in its maker's words."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    except OSError:
        pass
    return f"{platform.machine()} {platform.processor()}, {os.cpu_count()} cores"
