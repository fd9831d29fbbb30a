"""What the cost of a network takes to know, beside building it and counting.

    python runs/benchmarks/cost.py [--spaces cifar_mobile imagenet_mobile] [--networks 100]

For each space, random networks: `cost` with no block known yet (cold), and with all known (warm),
beside what a user does without it: build the network and run it once under torch's FlopCounterMode,
on the CPU and on the meta device. Parameters and MACs must agree, or it ends with an error. One
JSON line of medians in microseconds of wall clock for a network, and of ratios within a network.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
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
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from search_space import Blueprint, load  # noqa: E402
from senet_nas.cost import (  # noqa: E402
    _gate_cost,
    _traced_block,
    block_cost,
    classifier_cost,
    cost,
)
from senet_nas.nn import build_network  # noqa: E402

SEED = 0
SPACES = ["cifar_residual", "cifar_mobile", "imagenet_mobile"]
CLASSES = 10
REPEATS = 20
COUNTED = 20  # networks that are counted whole


def main() -> None:
    """Measure and print the line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--spaces", nargs="+", default=SPACES)
    parser.add_argument("--networks", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    line: dict[str, Any] = {"torch": torch.__version__, "networks": options.networks}
    for name in options.spaces:
        line[name] = measured(name, options.networks)
    print(json.dumps(line))


def measured(name: str, networks: int) -> dict[str, float]:
    """The medians of one space."""
    space = load(name)
    rng = np.random.default_rng(SEED)
    size = space.image_size or 32
    found = [space.build(space.sample(rng)) for _ in range(networks)]
    cost(found[0], size, CLASSES)  # imports
    for known_so_far in (block_cost, _traced_block, _gate_cost, classifier_cost):
        known_so_far.cache_clear()
    cold, known = [], []
    for each in found:
        before = block_cost.cache_info().misses
        cold.append(timeit(lambda each=each: cost(each, size, CLASSES), number=1))
        known.append(block_cost.cache_info().misses - before)
    warm = [
        min(timeit(lambda each=each: cost(each, size, CLASSES), number=1) for _ in range(REPEATS))
        for each in found
    ]
    few = found[:COUNTED]
    on_meta = [timeit(lambda each=each: counted(each, size, "meta"), number=1) for each in few]
    on_cpu = [timeit(lambda each=each: counted(each, size, "cpu"), number=1) for each in few]
    return {
        "blocks": block_cost.cache_info().currsize,
        "first_us": 1e6 * cold[0],
        "cold_us": 1e6 * statistics.median(cold),
        "cold_us_per_new_block": 1e6 * sum(cold) / sum(known),
        "warm_us": 1e6 * statistics.median(warm),
        "counted_cpu_us": 1e6 * statistics.median(on_cpu),
        "counted_meta_us": 1e6 * statistics.median(on_meta),
        "warm_ratio": statistics.median(a / b for a, b in zip(on_cpu, warm, strict=False)),
        "warm_ratio_meta": statistics.median(a / b for a, b in zip(on_meta, warm, strict=False)),
    }


def counted(architecture: Blueprint, size: int, device: str) -> None:
    """Build and count, as a user does without `cost`; the check is part of neither's point, and
    takes next to no time."""
    with torch.device(device):
        network = build_network(architecture, CLASSES, size).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, size, size, device=device))
    ours = cost(architecture, size, CLASSES)
    params = sum(p.numel() for p in network.parameters())
    if (ours.macs, ours.params) != (counter.get_total_flops() // 2, params):
        raise SystemExit(f"{ours} is not what was counted: {counter.get_total_flops() // 2} MACs")


if __name__ == "__main__":
    main()
