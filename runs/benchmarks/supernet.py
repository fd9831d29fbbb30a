"""What a supernet's scores are worth, and what it takes: on real CIFAR-10, without Ray.

    python runs/benchmarks/supernet.py --data cifar10-jpeg.tar.xz --device cuda --jobs 8
    python runs/benchmarks/supernet.py --data cifar10-jpeg.tar.xz --race 3600 --spaces cifar_tiny

For each space: a supernet is trained (the sandwich), and networks are both scored in it and trained
alone: 20 spread over the range of MACs, and 20 that differ in SE alone (one trunk). One JSON line:
Kendall's tau of each with its 95% interval, beside that of MACs alone; the seconds of each part;
and the memory of a supernet's step over that of its largest network's. --memory measures that
alone.

With --race SECONDS, instead: the hypervolume that nsga2 reaches in that time by training
candidates, and the seconds after which a supernet has reached it: by networks with its weights,
which are as trained as any, and by its finalists trained alone. All are scored on the same
validation images.
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

# Beside this file stands a `strategies.py`, which is not the package.
sys.path[:] = [
    str(Path(__file__).parents[2]),
    *(p for p in sys.path if p != str(Path(__file__).parent)),
]

from search_space import Candidate  # noqa: E402

SEED = 0
_EVALUATORS: dict[str, Any] = {}


def run_file(space: str, options: argparse.Namespace) -> Any:
    """The run that a user would have in a file."""
    from senet_nas.search.run_file import parse_run_file

    evaluation = {
        "data": options.data,
        "image_size": options.image_size,
        "epochs": options.alone_epochs,
        "batch_size": options.alone_batch,
        "precision": options.precision,
        "fraction": options.fraction,
    }
    supernet = {
        "strategy": options.strategy,
        "epochs": options.epochs,
        "batch_size": options.batch,
        "precision": options.precision,
    }
    table = {
        "space": {"name": space},
        "strategy": {"name": "nsga2"},
        "evaluation": evaluation,
        "supernet": supernet,
        "budget": {"trials": 1},
    }
    return parse_run_file(table, "benchmark")


def train_supernet(space: str, options: argparse.Namespace, out: Path) -> dict[str, float]:
    """Train one; seconds, and the ratio of memory."""
    import torch

    from senet_nas.search.weight_sharing import one_shot

    torch.set_num_threads(options.threads)
    run = run_file(space, options)
    job = one_shot.SupernetJob(run.space, run.evaluation, run.supernet, out / space)
    started = time.perf_counter()
    one_shot.train_supernet(job, device=options.device)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "memory_ratio": memory_ratio(run)}


def memory_ratio(run: Any) -> float:
    """Of a step of the supernet's largest network, to a step of that network alone: weights, their
    gradients and momenta, and what the backward pass needs of the forward pass, in bytes."""
    from senet_nas.nn import build_network
    from senet_nas.search.weight_sharing.one_shot import extremes, seeded_supernet

    space, size = run.space.open(), run.evaluation.image_size
    _, largest = extremes(space, size, tuple("0123456789"))
    architecture = space.build(largest)
    supernet = seeded_supernet(space, 10, SEED)
    supernet.choose(architecture)
    batch = run.supernet.batch_size
    bytes_ = [step_bytes(n, batch, size) for n in (supernet, build_network(architecture, 10, size))]
    return bytes_[0] / bytes_[1]


def step_bytes(network: Any, batch: int, size: int) -> int:
    """What a step of this batch keeps, from one of a few images."""
    import torch
    import torch.nn.functional as F

    few = 4
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(
            network(torch.randn(few, 3, size, size)), torch.zeros(few, dtype=torch.int64)
        )
    loss.backward()
    fixed = 3 * sum(p.untyped_storage().nbytes() for p in network.parameters())
    return fixed + sum(saved.values()) * batch // few


def evaluate(
    space: str, options: argparse.Namespace, candidate: Candidate, supernet: str | None
) -> tuple[dict[str, float], float]:
    """Scores of one network, trained alone or in the supernet of this file; seconds."""
    import torch

    from senet_nas.search.evaluation import Evaluator
    from senet_nas.search.weight_sharing.scoring import SupernetEvaluator

    torch.set_num_threads(1)
    run = run_file(space, options)
    key = f"{space} {supernet}"
    opened = run.space.open()
    if key not in _EVALUATORS:
        _EVALUATORS[key] = (
            Evaluator(run.evaluation, options.device)
            if supernet is None
            else SupernetEvaluator(
                run.evaluation, opened, Path(supernet), run.supernet.images, options.device
            )
        )
    started = time.perf_counter()
    scores = _EVALUATORS[key].at_rung(opened.build(candidate), 0)[0].scores
    return scores, time.perf_counter() - started


def sampled(space: str, options: argparse.Namespace) -> tuple[list[Candidate], list[Candidate]]:
    """Candidates spread over MACs, and candidates that differ in SE alone."""
    from senet_nas.search.weight_sharing import trust

    run = run_file(space, options)
    opened = run.space.open()
    alone = run.model_copy(update={"supernet": None})
    plan = trust.Plan(
        sample=trust._drawn(alone, opened, 10, options.networks, SEED, over_cost=True)
    )
    plan = trust._with_se(plan, opened, options.networks, alone, 10)
    return list(plan.sample), list(plan.se)


def correlations(options: argparse.Namespace) -> dict[str, Any]:
    """Both taus of each space."""
    out = Path(tempfile.mkdtemp())
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        samples = {space: sampled(space, options) for space in options.spaces}
        supernets = {s: pool.submit(train_supernet, s, options, out) for s in options.spaces}
        alone = {
            (space, candidate): pool.submit(evaluate, space, options, candidate, None)
            for space, groups in samples.items()
            for candidate in dict.fromkeys([*groups[0], *groups[1]])
        }
        shared = {}
        for space, groups in samples.items():
            found[space] = {"supernet": supernets[space].result()}
            file = str(out / space / "supernet.safetensors")
            for candidate in dict.fromkeys([*groups[0], *groups[1]]):
                shared[space, candidate] = pool.submit(evaluate, space, options, candidate, file)
        for space, groups in samples.items():
            for name, group in zip(("all", "se"), groups, strict=True):
                found[space][name] = compared(
                    [alone[space, c].result()[0] for c in group],
                    [shared[space, c].result()[0] for c in group],
                )
            seconds = [f.result()[1] for (s, _), f in alone.items() if s == space]
            scoring = [f.result()[1] for (s, _), f in shared.items() if s == space]
            found[space] |= {
                "alone_seconds_each": float(np.mean(seconds)),
                "score_seconds_each": float(np.median(scoring)),
            }
    return found


def compared(alone: Sequence[dict[str, float]], shared: Sequence[dict[str, float]]) -> Any:
    """Tau of accuracy in the supernet, and of MACs, with accuracy alone."""
    from senet_nas.analysis.rank_correlation import rank_correlations

    columns = {
        "supernet": [scores["accuracy"] for scores in shared],
        "macs": [scores["macs"] for scores in alone],
    }
    outcome = [scores["accuracy"] for scores in alone]
    taus = rank_correlations(columns, outcome, nulls=["macs"])
    return {
        "tau": taus["supernet"].tau,
        "interval": taus["supernet"].tau_interval,
        "tau_of_macs": taus["macs"].tau,
        "networks": len(outcome),
        "accuracy_alone": [min(outcome), max(outcome)],
        "accuracy_shared": [min(columns["supernet"]), max(columns["supernet"])],
        "pairs": [
            [round(a, 2), round(s, 2)] for a, s in zip(outcome, columns["supernet"], strict=True)
        ],
    }


def race(options: argparse.Namespace) -> dict[str, Any]:
    """Multi-trial nsga2 against a supernet, on the first space."""
    space = options.spaces[0]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        multi = searched(pool, space, options, None, options.race)
        began = time.perf_counter()
        out = Path(tempfile.mkdtemp())
        supernet = pool.submit(train_supernet, space, options, out).result()
        file = str(out / space / "supernet.safetensors")
        before = time.perf_counter() - began
        one = searched(pool, space, options, file, options.score_seconds)
        front = front_of([(c, s) for c, s, _ in one])
        chosen = front[:: max(1, len(front) // options.finalists)]
        futures = [pool.submit(evaluate, space, options, c, None) for c, _ in chosen]
        finalists = [(f.result()[0], time.perf_counter() - began) for f in futures]
    shared = [(scores, before + at) for _, scores, at in one]
    everything = [s for _, s, _ in multi] + [s for s, _ in [*finalists, *shared]]
    goal = volume([s for _, s, _ in multi], everything)
    return {
        "space": space,
        "multi_trial": {"seconds": options.race, "trials": len(multi), "hypervolume": goal},
        "supernet_seconds": supernet["seconds"],
        "shared_weights": reaching(shared, goal, everything, options.race),
        "trained_alone": reaching(finalists, goal, everything, options.race),
    }


def reaching(
    points: Sequence[tuple[dict[str, float], float]],
    goal: float,
    beside: Sequence[dict[str, float]],
    seconds: float,
) -> dict[str, Any]:
    """When networks, each there at its time, together reach a hypervolume."""
    volumes = [volume([s for s, _ in points[: n + 1]], beside) for n in range(len(points))]
    reached = [at for (_, at), v in zip(points, volumes, strict=True) if v >= goal]
    return {
        "networks": len(points),
        "hypervolume": volumes[-1] if volumes else 0.0,
        "seconds_to_reach": reached[0] if reached else None,
        "ratio": reached[0] / seconds if reached else None,
    }


def searched(
    pool: ProcessPoolExecutor,
    space: str,
    options: argparse.Namespace,
    supernet: str | None,
    seconds: float,
) -> list[tuple[Candidate, dict[str, float], float]]:
    """What nsga2 evaluates in so many seconds: candidate, scores, when."""
    from senet_nas.cost import cost
    from strategies import make_strategy

    opened = run_file(space, options).space.open()

    def macs(candidate: Candidate) -> float:
        return float(cost(opened.build(candidate), options.image_size, 10).macs)

    strategy = make_strategy(
        "nsga2", opened, {"accuracy": "max", "macs": "min"}, seed=SEED, known={"macs": macs}
    )
    began, done = time.perf_counter(), []
    running: dict[Future[Any], Candidate] = {}
    while True:
        over = time.perf_counter() - began > seconds
        while not over and len(running) < options.jobs and (asked := strategy.ask()) is not None:
            running[pool.submit(evaluate, space, options, asked, supernet)] = asked
        if not running:
            return done
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            candidate = running.pop(future)
            scores, _ = future.result()
            strategy.tell(candidate, scores)
            if (at := time.perf_counter() - began) <= seconds:
                done.append((candidate, scores, at))


def _losses(scores: Sequence[dict[str, float]]) -> np.ndarray:
    return np.array([[-s["accuracy"], s["macs"]] for s in scores])


def front_of(
    evaluated: Sequence[tuple[Candidate, dict[str, float]]],
) -> list[tuple[Candidate, dict[str, float]]]:
    """The non-dominated ones, from cheap to dear."""
    import moocore

    kept = moocore.is_nondominated(_losses([s for _, s in evaluated]))
    found = [pair for pair, keep in zip(evaluated, kept, strict=True) if keep]
    return sorted(found, key=lambda pair: pair[1]["macs"])


def volume(scores: Sequence[dict[str, float]], beside: Sequence[dict[str, float]]) -> float:
    """Hypervolume with the worst of all as the reference point."""
    import moocore

    if not scores:
        return 0.0
    return float(moocore.hypervolume(_losses(scores), ref=_losses(beside).max(axis=0)))


def main() -> None:
    """Parse, measure, print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="CIFAR-10; the carried sample else")
    parser.add_argument("--spaces", nargs="+", default=["cifar_mobile", "cifar_residual"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--threads", type=int, default=1, help="of a supernet's training")
    parser.add_argument("--strategy", default="sandwich")
    parser.add_argument("--epochs", type=int, default=15, help="of the supernet")
    parser.add_argument("--batch", type=int, default=256, help="of the supernet")
    parser.add_argument("--alone-epochs", type=int, default=5)
    parser.add_argument("--alone-batch", type=int, default=128)
    parser.add_argument("--networks", type=int, default=20, help="of each sample")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--race", type=float, help="seconds of multi-trial search")
    parser.add_argument("--score-seconds", type=float, default=60, help="of a race: for scoring")
    parser.add_argument("--finalists", type=int, default=8)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        found = {space: memory_ratio(run_file(space, options)) for space in options.spaces}
    else:
        found = race(options) if options.race else correlations(options)
    settings = {key: value for key, value in vars(options).items() if key != "data"}
    print(json.dumps({"benchmark": "supernet", "settings": settings, **found}), flush=True)


if __name__ == "__main__":
    main()
