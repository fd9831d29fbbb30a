"""A candidate's training step: precision, fused blocks, torch.compile, and the split of two cores.

    python runs/benchmarks/step.py [--spaces cifar_mobile cifar_residual] [--rounds 5]

For each space, a few random networks, batches of 128 images of its size, forwards, backwards and
SGD's fused step, in milliseconds of wall clock, or by `--clock cpu` of CPU time (compilers count
where TORCHINDUCTOR_COMPILE_THREADS=1 keeps them in this process):

- `fp32`, `bf16`: as the trainer runs them, on one thread; `bf16_plain` with no fused blocks.
- `compiled`: bf16 by torch.compile, what compiling takes, and after how many steps it has paid.
- `split`: steps a second of two processes with a thread each, over those of one with two, by wall
  clock; left out with `--split-rounds 0`.

Variants take turns; ratios are medians over rounds. One JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from timeit import timeit
from typing import Any

# Beside this file stands a `strategies.py`, which is not the package.
sys.path[:] = [
    str(Path(__file__).parents[2]),
    *(p for p in sys.path if p != str(Path(__file__).parent)),
]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from search_space import load  # noqa: E402
from senet_nas.nn.fused import disabled  # noqa: E402
from senet_nas.training import seeded_network  # noqa: E402
from senet_nas.training.precision import autocast, slow_layers_in_float32  # noqa: E402

SEED = 0
BATCH = 128
CLASSES = 10
CPU = torch.device("cpu")
SPACES = ["cifar_mobile", "cifar_residual"]
SPLIT_STEPS = 6


def main() -> None:
    """Measure and print the line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spaces", nargs="+", default=SPACES)
    parser.add_argument("--networks", type=int, default=2, help="of each space")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--split-rounds", type=int, default=3)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    line: dict[str, Any] = {"torch": torch.__version__}
    for space in options.spaces:
        line[space] = [measured(space, number, options) for number in range(options.networks)]
    print(json.dumps(line))


def measured(space: str, number: int, options: argparse.Namespace) -> dict[str, float]:
    """All of one network."""
    torch.set_num_threads(1)
    clock = CLOCKS[options.clock]
    steps = {
        "fp32": step_of(space, number, torch.float32),
        "bf16": step_of(space, number, torch.bfloat16),
        "bf16_plain": step_of(space, number, torch.bfloat16, fused=False),
    }
    result: dict[str, float] = {}
    if not options.no_compile:
        steps["compiled"] = step_of(space, number, torch.bfloat16, compiled=True)
        result["compile_s"] = timeit(steps["compiled"], number=1, timer=clock)
    for step in steps.values():
        step()
    rounds = [
        {k: timeit(step, number=1, timer=clock) for k, step in steps.items()}
        for _ in range(options.rounds)
    ]
    for name in steps:
        result[f"{name}_ms"] = 1000 * statistics.median(r[name] for r in rounds)
        if name != "bf16":
            result[f"{name}_over_bf16"] = statistics.median(r[name] / r["bf16"] for r in rounds)
    saved = result["bf16_ms"] - result.get("compiled_ms", float("inf"))
    if saved > 0:
        result["compile_pays_after_steps"] = 1000 * result["compile_s"] / saved
    if options.split_rounds:
        result["split"] = statistics.median(
            rate(space, number, 2, 1) / rate(space, number, 1, 2)
            for _ in range(options.split_rounds)
        )
    return result


def cpu_seconds() -> float:
    """Of this process, and of those that it has started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


CLOCKS = {"wall": time.perf_counter, "cpu": cpu_seconds}


def step_of(
    space: str, number: int, dtype: torch.dtype, fused: bool = True, compiled: bool = False
) -> Callable[[], object]:
    """A training step of one of the space's random networks."""
    opened = load(space)
    rng = np.random.default_rng(SEED)
    architecture = [opened.build(opened.sample(rng)) for _ in range(number + 1)][-1]
    size = opened.image_size or 32
    network = seeded_network(architecture, CLASSES, size, SEED).train()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % CLASSES
    optimiser = torch.optim.SGD(network.parameters(), 0.01, 0.9, fused=True)
    called = torch.compile(network) if compiled else network
    way = contextlib.nullcontext if fused else disabled

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with way(), slow_layers_in_float32(network, dtype, CPU):
            with autocast(dtype, CPU):
                logits = called(images).float()
            F.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def rate(space: str, number: int, processes: int, threads: int) -> float:
    """Steps a second of all processes together, each timed once all are warm."""
    context = multiprocessing.get_context("spawn")
    ready, times = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=worker, args=(space, number, threads, ready, times))
        for _ in range(processes)
    ]
    for each in workers:
        each.start()
    found = [times.get(timeout=600) for _ in workers]
    for each in workers:
        each.join()
    return sum(SPLIT_STEPS / each for each in found)


def worker(space: str, number: int, threads: int, ready: Any, times: Any) -> None:
    """Seconds of some steps, of one process among several."""
    torch.set_num_threads(threads)
    step = step_of(space, number, torch.bfloat16)
    step()
    ready.wait(600)
    times.put(timeit(lambda: [step() for _ in range(SPLIT_STEPS)], number=1))


if __name__ == "__main__":
    main()
