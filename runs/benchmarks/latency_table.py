"""How well a latency table predicts whole networks: the sum over their parts beside a measurement.

    python runs/benchmarks/latency_table.py [--space cifar_mobile] [--networks 50] [--threads 1]

Draws random networks of a space, measures each of their distinct parts once as `senet-nas
latency-table` does, predicts each network by the sum, and measures all of them whole, twice (built
twice), taking turns. Prints one JSON line: Kendall's tau-b and the median and largest relative
error of the predictions, the median ratio of predicted to measured (its distance from 1 is what all
are off by), the same tau and median error between the two measurements (`again_…`: a prediction can
hardly be nearer to a measurement than another measurement is), the least and the largest latency,
how many parts there were, and seconds. `--out` keeps the table, and goes on with it. `--clock cpu`
counts the process's CPU time, for a machine that does other things as well; `--together` lets parts
and networks take turns in the same rounds, so that a machine that is slower by the minute doesn't
count as an error.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path

# Beside this file stands a `strategies.py`, which is not the package.
sys.path[:] = [
    str(Path(__file__).parents[2]),
    *(p for p in sys.path if p != str(Path(__file__).parent)),
]

from scipy.stats import kendalltau  # noqa: E402

from search_space import load  # noqa: E402
from senet_nas.latency import LatencyTable, conditions_here, drawn, measured  # noqa: E402
from senet_nas.latency.table import parts_and_others  # noqa: E402
from senet_nas.nn import build_network  # noqa: E402

CLASSES = 10


def main() -> None:
    """Measure and print the line."""
    options = arguments()
    space = load(options.space)
    size = space.image_size or 32
    conditions = conditions_here(
        space,
        image_size=size,
        classes=CLASSES,
        device=options.device,
        threads=options.threads,
        batch_size=options.batch,
        precision=options.precision,
        clock=options.clock,
        repeats=options.repeats,
    )
    table = LatencyTable(conditions)
    if options.out and options.out.exists():
        table = LatencyTable.read(options.out)
        table.check_extends(conditions, options.out)
    networks = list(drawn(space, options.networks, options.seed))
    began = time.perf_counter()
    new = table.missing(networks)
    whole = [
        [(build_network(network, CLASSES, size), (3, size, size))]
        for _ in range(2)
        for network in networks
    ]
    if options.together:
        parts, times = parts_and_others(new, whole, conditions)
        table.parts |= parts
    else:
        table.measure(new)
        times = measured(whole, conditions)
    if options.out:
        table.write(options.out)
    first, second = [
        [milliseconds for (milliseconds,) in half]
        for half in (times[: len(networks)], times[len(networks) :])
    ]
    mean = [statistics.mean(pair) for pair in zip(first, second, strict=True)]
    predicted = [table.predict(network) for network in networks]
    ratios = [p / m for p, m in zip(predicted, mean, strict=True)]
    errors = [abs(ratio - 1) for ratio in ratios]
    between = [abs(a / b - 1) for a, b in zip(first, second, strict=True)]
    line = {
        "tau": round(float(kendalltau(predicted, mean).statistic), 4),
        "median_error": round(statistics.median(errors), 4),
        "largest_error": round(max(errors), 4),
        "median_ratio": round(statistics.median(ratios), 4),
        "again_tau": round(float(kendalltau(first, second).statistic), 4),
        "again_median_error": round(statistics.median(between), 4),
        "least_ms": round(min(mean), 3),
        "largest_ms": round(max(mean), 3),
        "networks": len(networks),
        "parts": len(table.parts),
        "seconds": round(time.perf_counter() - began, 1),
        "together": options.together,
        **asdict(conditions),
    }
    print(json.dumps(line))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--space", default="cifar_mobile")
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
