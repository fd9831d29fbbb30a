"""What it saves to keep freed memory: CPU seconds of training and of scoring, with it and without.

    OMP_NUM_THREADS=1 python runs/benchmarks/freed_memory.py --spaces cifar_mobile cifar_residual

glibc hands large blocks back to the operating system and gets new pages for each map anew;
`senet_nas.nn.freed_memory` has it keep them. One random network of each space, processes of their
own, in turns. One JSON line: medians over rounds, and the most memory that a process held, in MB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))


def measured(space: str, precision: str, data: str | None, keep: bool) -> dict[str, float]:
    """Of two epochs of training in batches of 128, and of scoring in batches of 500."""
    import numpy as np

    from senet_nas.data import load_images
    from senet_nas.search.run_file import parse_run_file
    from senet_nas.training import evaluate, load_recipe, loop, seeded_network, train

    if not keep:
        loop.keep_freed_memory = lambda: False  # type: ignore[attr-defined]
        scoring = sys.modules[evaluate.__module__]
        scoring.keep_freed_memory = lambda: False  # type: ignore[attr-defined]
    table = {"space": {"name": space}, "strategy": {"name": "nsga2"}, "budget": {"trials": 1}}
    opened = parse_run_file(table, "benchmark").space.open()
    candidate = opened.sample(np.random.default_rng(0))
    network = seeded_network(opened.build(candidate), 10, 32, 0)
    images = load_images(data, "train", 32)
    images = images.subset(np.random.default_rng(0).permutation(len(images))[:2000])
    changes: dict[str, Any] = {"epochs": 2, "batch_size": 128, "precision": precision}
    recipe = load_recipe("proxy", changes)
    found = {}
    for what in ("warm", "train"):
        started = time.process_time()
        train(network, images, recipe, seed=0, mean=images.mean(), std=images.std())
        found[what] = time.process_time() - started
    for what in ("warm", "score"):
        started = time.process_time()
        evaluate(network, images, mean=images.mean(), std=images.std(), precision=precision)
        found[what] = time.process_time() - started
    del found["warm"]
    return found | {"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Parse, measure, print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="CIFAR-10; the carried sample else")
    parser.add_argument("--spaces", nargs="+", default=["cifar_mobile", "cifar_residual"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {}
    for space in options.spaces:
        for precision in ("fp32", "bf16"):
            runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
            for _ in range(options.rounds):
                for keep, measurements in runs.items():
                    with ProcessPoolExecutor(1, mp_context=context) as pool:
                        done = pool.submit(measured, space, precision, options.data, keep)
                        measurements.append(done.result())
            found[f"{space} {precision}"] = {
                name: [
                    round(statistics.median(one[name] for one in runs[keep]), 3)
                    for keep in (False, True)
                ]
                for name in ("train", "score", "mb")
            }
    print(json.dumps({"benchmark": "freed_memory", "without_and_with": found}), flush=True)


if __name__ == "__main__":
    main()
