"""The seconds after which a supernet has the front that multi-trial search has after an hour.

    python runs/benchmarks/supernet_race.py --data cifar10-jpeg.tar.xz --work runs/out/race

nsga2 trains candidates for --race seconds, and reaches a hypervolume. A supernet is trained, and
nsga2 searches in it for --score-seconds. One JSON line: the seconds after which networks with the
supernet's weights, which are as trained as any, together have that hypervolume; and those after
which its finalists, trained alone after that, have it. All are scored on the same validation
images. Besides, Kendall's tau of both scores of the networks that nsga2 trained. With --work the
multi-trial search and the supernet are kept there, and made once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from runs.benchmarks import supernet_parts as parts
from search_space import Candidate

Found = tuple[Candidate, dict[str, float], float]  # a network, its scores, after so many seconds


def race(options: argparse.Namespace) -> dict[str, Any]:
    """Multi-trial nsga2 against a supernet, on the first space."""
    from senet_nas.analysis.rank_correlation import rank_correlations

    space = options.spaces[0]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        multi = multi_trial(pool, space, options)
        trained = pool.submit(parts.train_supernet, space, options).result()
        shared = [
            (candidate, scores, trained + at)
            for candidate, scores, at in searched(pool, space, options, True, options.score_seconds)
        ]
        finalists = trained_alone(pool, space, options, shared, trained + options.score_seconds)
        again = [pool.submit(parts.evaluate, space, options, c, True) for c, _, _ in multi]
        agreement = rank_correlations(
            {"supernet": [future.result()[0]["accuracy"] for future in again]},
            [scores["accuracy"] for _, scores, _ in multi],
        )["supernet"]
    everything = [scores for _, scores, _ in [*multi, *shared, *finalists]]
    goal = volume([scores for _, scores, _ in multi], everything)
    return {
        "space": space,
        "multi_trial": {
            "seconds": options.race,
            "trials": len(multi),
            "hypervolume": goal,
            "accuracy": max(scores["accuracy"] for _, scores, _ in multi),
        },
        "supernet_seconds": trained,
        "tau_over_multi_trial": [agreement.tau, agreement.tau_interval],
        "shared_weights": reaching(shared, goal, everything, options.race),
        "trained_alone": reaching(finalists, goal, everything, options.race),
    }


def multi_trial(pool: ProcessPoolExecutor, space: str, options: argparse.Namespace) -> list[Found]:
    """What training candidates finds in so many seconds; kept in the folder."""
    path = options.work / f"multi_trial_{space}.json"
    if not path.exists():
        found = searched(pool, space, options, False, options.race)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return [(tuple(c), scores, at) for c, scores, at in json.loads(path.read_text())]


def trained_alone(
    pool: ProcessPoolExecutor,
    space: str,
    options: argparse.Namespace,
    shared: Sequence[Found],
    after: float,
) -> list[Found]:
    """Some of the supernet's front, from cheap to dear, each there when it has been trained."""
    front = front_of(shared)
    chosen = [
        front[place][0]
        for place in np.linspace(0, len(front) - 1, min(options.finalists, len(front))).astype(int)
    ]
    began = time.perf_counter()
    running = {pool.submit(parts.evaluate, space, options, c, False): c for c in chosen}
    found: list[Found] = []
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            at = after + time.perf_counter() - began
            found.append((running.pop(future), future.result()[0], at))
    return found


def reaching(
    points: Sequence[Found], goal: float, beside: Sequence[dict[str, float]], seconds: float
) -> dict[str, Any]:
    """When networks together reach a hypervolume."""
    volumes = [volume([s for _, s, _ in points[: n + 1]], beside) for n in range(len(points))]
    reached = [at for (_, _, at), v in zip(points, volumes, strict=True) if v >= goal]
    return {
        "networks": len(points),
        "hypervolume": volumes[-1] if volumes else 0.0,
        "accuracy": max((s["accuracy"] for _, s, _ in points), default=0.0),
        "seconds_to_reach": reached[0] if reached else None,
        "ratio": reached[0] / seconds if reached else None,
    }


def searched(
    pool: ProcessPoolExecutor, space: str, options: argparse.Namespace, shared: bool, seconds: float
) -> list[Found]:
    """What nsga2 evaluates in so many seconds."""
    from senet_nas.cost import cost
    from strategies import make_strategy

    opened = parts.run_file(space, options).space.open()

    def macs(candidate: Candidate) -> float:
        return float(cost(opened.build(candidate), options.image_size, 10).macs)

    strategy = make_strategy(
        "nsga2",
        opened,
        {"accuracy": "max", "macs": "min"},
        seed=parts.SEED,
        known={"macs": macs},
    )
    began, done = time.perf_counter(), []
    running: dict[Future[Any], Candidate] = {}
    while True:
        over = time.perf_counter() - began > seconds
        while not over and len(running) < options.jobs and (asked := strategy.ask()) is not None:
            running[pool.submit(parts.evaluate, space, options, asked, shared)] = asked
        if not running:
            return done
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            candidate = running.pop(future)
            scores, _ = future.result()
            strategy.tell(candidate, scores)
            if (at := time.perf_counter() - began) <= seconds:
                done.append((candidate, scores, at))
                print(f"{at:.0f} s: {scores}", file=sys.stderr, flush=True)


def _losses(scores: Sequence[dict[str, float]]) -> np.ndarray:
    return np.array([[-s["accuracy"], s["macs"]] for s in scores])


def front_of(found: Sequence[Found]) -> list[Found]:
    """The non-dominated ones, from cheap to dear."""
    import moocore

    if not found:
        return []
    kept = moocore.is_nondominated(_losses([scores for _, scores, _ in found]))
    front = [one for one, keep in zip(found, kept, strict=True) if keep]
    return sorted(front, key=lambda one: one[1]["macs"])


def volume(scores: Sequence[dict[str, float]], beside: Sequence[dict[str, float]]) -> float:
    """Hypervolume with the worst of all as the reference point."""
    import moocore

    if not scores:
        return 0.0
    return float(moocore.hypervolume(_losses(scores), ref=_losses(beside).max(axis=0)))


def main() -> None:
    """Parse, measure, print one JSON line."""
    parser = parts.options_of(__doc__, ["cifar_tiny"], 26)
    parser.add_argument("--race", type=float, default=3600, help="seconds of multi-trial search")
    parser.add_argument("--score-seconds", type=float, default=60, help="of search in the supernet")
    parser.add_argument("--finalists", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        options.work = options.work or Path(temporary)
        parts.printed("supernet_race", options, race(options))


if __name__ == "__main__":
    main()
