"""Milliseconds of modules that take turns."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from search_space import SE, Block, InputError, SearchSpace, checks
from senet_nas.nn.freed_memory import keep_freed_memory
from senet_nas.nn.network import build_block

WARM_UP = 3  # rounds that aren't counted
ENOUGH = 5  # runs without interruption, for others not to count
OPENING = 16, 8, 8  # what runs first in a turn reads
Precision = Literal["fp32", "bf16"]
Clock = Literal["wall", "cpu"]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Timed = tuple[nn.Module, tuple[int, ...]]  # a module and the shape that it reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How modules are timed. threads: of the CPU, torch's own number where None. bf16: autocast of
    all layers. clock: cpu counts the process's CPU time on one thread, for a machine that does
    other things. repeats: rounds that count."""

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

    def check(self) -> None:
        """Raise `InputError` for what measures nothing, as in a file that was written by hand."""
        for name in ("threads", "batch_size", "repeats", "image_size", "classes"):
            checks.integer(name, getattr(self, name), least=1)
        checks.choice("precision", self.precision, get_args(Precision))
        checks.choice("clock", self.clock, tuple(CLOCKS))
        _check_device(self.device)


def _check_device(device: str) -> None:
    checks.choice("device", str(device).partition(":")[0], ("cpu", "cuda"))


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

    Raises `InputError` for a device that isn't here, and for the CPU's clock with several threads,
    or with a GPU.
    """
    threads = threads or torch.get_num_threads()
    _check_device(device)
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


def measured(chains: Sequence[Sequence[Timed]], timing: Timing) -> list[list[float]]:
    """Milliseconds of an inference of each module (channels_last, evaluation mode), by chain.

    Chains take turns; the modules of one run one after another, as a network's blocks do, each on
    what the one before it made where that has the shape. Each figure is a median of rounds, on a
    CPU of those in which no other process came between (what is in the caches is then the other's),
    where these are a few. Freed memory is kept (`keep_freed_memory`).
    """
    keep_freed_memory()
    device = torch.device(timing.device)
    bf16 = timing.precision == "bf16"
    before = torch.get_num_threads()
    torch.set_num_threads(timing.threads or before)
    try:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            turns = [[_Turn(*one, timing, device) for one in chain] for chain in chains]
            opening = None if device.type == "cuda" else _Turn(_opening(), OPENING, timing, device)
            for number in range(-WARM_UP, timing.repeats):
                for chain in turns:
                    _run(chain, opening, counts=number >= 0)
    finally:
        torch.set_num_threads(before)
    return [[turn.milliseconds() for turn in chain] for chain in turns]


def _run(chain: Sequence[_Turn], opening: _Turn | None, *, counts: bool) -> None:
    if opening is not None:
        os.sched_yield()  # who waits for the processor has it now, and not in the middle
        opening.run(counts=False)  # and PyTorch is in the caches again
    output: Tensor | None = None
    for turn in chain:
        output = turn.run(counts, output)


def _opening() -> nn.Module:
    block = Block("inverted_residual", OPENING[0], expansion=4.0, se=SE())
    return build_block(block, OPENING[0])


class _Turn:
    """A module, what it reads, and what its runs took."""

    def __init__(
        self, module: nn.Module, shape: tuple[int, ...], timing: Timing, device: torch.device
    ) -> None:
        module = module.to(device).eval()
        self._module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # bf16 as what stands before it in a network writes: a sum with float32 would be float32.
        dtype = torch.bfloat16 if timing.precision == "bf16" else torch.float32
        images = torch.randn(timing.batch_size, *shape, device=device, dtype=dtype)
        self._images = images.to(memory_format=torch.channels_last)
        self._clock = CLOCKS[timing.clock]
        self._runs: list[tuple[bool, float]] = []  # whether interrupted, seconds

    def run(self, counts: bool, given: Tensor | None = None) -> Tensor:
        """Once. given: what it reads where the shape is right."""
        if given is None or given.shape != self._images.shape:
            given = self._images.mul_(1)  # as if just written: it is in the cache
        self._wait()
        interruptions, began = _interruptions(), self._clock()
        output: Tensor = self._module(given)
        self._wait()
        seconds = self._clock() - began
        if counts:
            self._runs.append((_interruptions() > interruptions, seconds))
        return output

    def _wait(self) -> None:
        if self._images.is_cuda:
            torch.cuda.synchronize(self._images.device)

    def milliseconds(self) -> float:
        """The median of the runs without interruption, or of all."""
        alone = [seconds for interrupted, seconds in self._runs if not interrupted]
        counted = alone if len(alone) >= ENOUGH else [seconds for _, seconds in self._runs]
        return 1000 * statistics.median(counted)


def _interruptions() -> int:
    """How often this process had to leave a processor to another so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def machine(device: str) -> str:
    """The processor, or the GPU, in its maker's words. Raises `InputError` for a GPU that isn't
    there."""
    if torch.device(device).type == "cuda":
        try:
            return torch.cuda.get_device_name(device)
        except (RuntimeError, AssertionError) as error:
            problem = str(error).split("\n", maxsplit=1)[0]
            raise InputError(f"device {device!r} cannot be used: {problem}") from None
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    except OSError:
        pass
    return f"{platform.machine()} {platform.processor()}, {os.cpu_count()} cores"
