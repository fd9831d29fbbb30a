"""How good a front each strategy, and each peer of another project, holds after N evaluations.

    python runs/benchmarks/strategies.py --table nas-bench-macro_cifar10.json.xz

Prints a JSON line for each strategy or peer on each problem: quartiles over seeds of the normalised
hypervolume (of the front among the first N evaluations, over that of the best front known) at
budgets of 50, 100, 200 and 500, and mean seconds a proposal; then one for each strategy about
1,000 simulated workers. The problems are in strategy_problems.py (the table's accuracies were
trained, the others are synthetic), the peers in strategy_peers.py; a peer that isn't installed is
skipped with a line that says so. Draws medians and quartiles to runs/out/strategies.png.

Strategies get what the peers get, decisions and scores; one whose name ends in `+known` is also
told how to compute MACs before training.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file is called as the package that it imports, which comes first.
sys.path.append(sys.path.pop(0))
sys.path.insert(0, str(Path(__file__).parents[2]))

import argparse
import heapq
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import moocore
import numpy as np
from strategy_peers import PEERS
from strategy_problems import nas_bench_macro, synthetic

from search_space import Candidate
from search_space.problems import Problem, conditional, epistatic
from strategies import make_strategy, strategy_names
from strategies.core.objectives import Objectives
from strategies.core.unseen import all_candidates

BUDGETS = (50, 100, 200, 500)
OUT = Path(__file__).parents[1] / "out"
LONG_SEARCH = 15_000  # evaluations that the best front known of a large space is from
WORKERS = 1000
ASKED = 3000  # in the simulation of workers
TRAINING_SPREAD = 0.35  # of the log of training seconds, as in runs/found/cifar10_nsga2
MEAN_TRAINING = 300.0  # seconds


def main() -> None:
    """Run what the arguments select."""
    arguments = _arguments()
    problems = {
        "cifar_mobile": lambda: synthetic("cifar_mobile"),
        "imagenet_mobile": lambda: synthetic("imagenet_mobile"),
        "epistatic": epistatic,
        "conditional": conditional,
    }
    if arguments.table:
        problems = {"nas_bench_macro": lambda: nas_bench_macro(arguments.table), **problems}
    searches = arguments.searches.split(",") if arguments.searches else _all_searches()
    chosen = arguments.problems.split(",") if arguments.problems else list(problems)
    curves: dict[str, dict[str, Any]] = {}
    for name in chosen:
        problem = problems[name]()
        best = _best_known(name, problem)
        for search in searches:
            line = _measure(name, problem, best, search, arguments.seeds, arguments.budget)
            print(json.dumps(line), flush=True)
            curves.setdefault(name, {})[search] = line
    if arguments.workers:
        for search in strategy_names():
            print(json.dumps(_utilisation(search)), flush=True)
    _draw(curves)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", type=Path, help="nas-bench-macro_cifar10.json.xz")
    parser.add_argument("--problems", help="names, separated by commas (all)")
    parser.add_argument("--searches", help="strategies and peers, separated by commas (all)")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=max(BUDGETS))
    parser.add_argument("--workers", action="store_true", help="simulate 1,000 workers too")
    return parser.parse_args()


def _all_searches() -> list[str]:
    return [*strategy_names(), "surrogate+known", "random_search+known", *PEERS]


def _measure(
    name: str, problem: Problem, best: float, search: str, seeds: int, budget: int
) -> dict[str, Any]:
    """The line about one search on one problem."""
    budgets = [count for count in BUDGETS if count <= budget]
    shares, seconds = [], []
    try:
        for seed in range(seeds):
            losses, spent = _run(problem, search, budgets[-1], seed)
            seconds.append(spent / len(losses))
            shares.append([_volume(losses[:count], problem) / best for count in budgets])
    except ImportError as error:
        return {"benchmark": "strategies", "problem": name, "search": search, "skipped": str(error)}
    quartiles = np.percentile(shares, [25, 50, 75], axis=0).T
    return {
        "benchmark": "strategies",
        "problem": name,
        "search": search,
        "seeds": seeds,
        "seconds_per_proposal": float(f"{np.mean(seconds):.3g}"),
        "hypervolume": {
            str(count): [round(float(x), 4) for x in row]
            for count, row in zip(budgets, quartiles, strict=True)
        },
    }


def _run(
    problem: Problem, search: str, budget: int, seed: int
) -> tuple[list[tuple[float, ...]], float]:
    """The losses in the order of evaluation, and the seconds that weren't spent on scoring."""
    goals = Objectives(problem.objectives)
    losses: list[tuple[float, ...]] = []
    scoring = 0.0

    def score(candidate: Candidate) -> Mapping[str, float]:
        nonlocal scoring
        started = time.perf_counter()
        scores = problem.score(candidate)
        scoring += time.perf_counter() - started
        losses.append(goals.losses(scores))
        return scores

    started = time.perf_counter()
    if search in PEERS:
        PEERS[search](problem, score, budget, seed)
    else:
        _run_strategy(problem, search, score, budget, seed)
    return losses, time.perf_counter() - started - scoring


def _run_strategy(
    problem: Problem,
    search: str,
    score: Callable[[Candidate], Mapping[str, float]],
    budget: int,
    seed: int,
) -> None:
    name, _, knows = search.partition("+")
    known = {"macs": lambda candidate: problem.score(candidate)["macs"]} if knows else {}
    settings = {"uniform_over": "macs"} if search == "random_search+known" else {}
    strategy = make_strategy(
        name, problem.space, problem.objectives, seed=seed, known=known, **settings
    )
    for _ in range(budget):
        candidate = strategy.ask()
        if candidate is None:
            return
        strategy.tell(candidate, score(candidate))


def _volume(losses: list[tuple[float, ...]], problem: Problem) -> float:
    worst = np.array(Objectives(problem.objectives).losses(problem.reference))
    inside = np.array([row for row in losses if (np.array(row) < worst).all()])
    return float(moocore.hypervolume(inside, ref=worst)) if len(inside) else 0.0


def _best_known(name: str, problem: Problem) -> float:
    """The hypervolume of a small space's true front; of a large one's after a long search with
    the surrogate's front of many seeds not yet known, so that a share may exceed 1."""
    kept = OUT / f"strategies_best_{name}.json"
    if kept.exists():
        return float(json.loads(kept.read_text()))
    goals = Objectives(problem.objectives)
    if problem.space.size() <= 100_000:
        losses = [goals.losses(problem.score(c)) for c in all_candidates(problem.space)]
    else:
        strategy = make_strategy("nsga2", problem.space, problem.objectives, population_size=200)
        for _ in range(LONG_SEARCH):
            candidate = strategy.ask()
            assert candidate is not None
            strategy.tell(candidate, problem.score(candidate))
        losses = [goals.losses(scores) for _, scores in strategy.front()]
    volume = _volume(losses, problem)
    OUT.mkdir(exist_ok=True)
    kept.write_text(json.dumps(volume))
    return volume


def _utilisation(search: str) -> dict[str, Any]:
    """A discrete-event simulation: one process asks and tells, for as long as that really takes,
    and workers train for log-normal times. A worker idles while it waits for its candidate."""
    problem = epistatic()
    strategy = make_strategy(search, problem.space, problem.objectives)
    rng = np.random.default_rng(0)
    busy: list[tuple[float, Candidate]] = []
    free_at = [0.0] * WORKERS
    clock, trained, spent = 0.0, 0.0, 0.0
    for number in range(ASKED):
        if number >= WORKERS:
            ended, candidate = heapq.heappop(busy)
            started = time.perf_counter()
            strategy.tell(candidate, problem.score(candidate))
            clock = max(clock, ended) + time.perf_counter() - started
        started = time.perf_counter()
        asked = strategy.ask()
        assert asked is not None
        took = time.perf_counter() - started
        clock, spent = clock + took, spent + took
        seconds = MEAN_TRAINING * float(rng.lognormal(-(TRAINING_SPREAD**2) / 2, TRAINING_SPREAD))
        trained += seconds
        heapq.heappush(busy, (clock + seconds, asked))
    horizon = busy[0][0]  # until then nobody lacked work for want of trials
    after = sum(end - horizon for end, _ in busy)
    return {
        "benchmark": "strategies",
        "workers": WORKERS,
        "search": search,
        "utilisation": round((trained - after) / (horizon * len(free_at)), 4),
        "seconds_per_proposal": float(f"{spent / ASKED:.3g}"),
        "mean_training_seconds": MEAN_TRAINING,
    }


def _draw(curves: Mapping[str, Mapping[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, max(1, len(curves)), figsize=(5 * max(1, len(curves)), 4), squeeze=False
    )
    for panel, (name, lines) in zip(axes[0], curves.items(), strict=False):
        for search, budgets, quartiles in _curves(lines):
            (drawn,) = panel.plot(budgets, quartiles[:, 1], marker="o", label=search)
            panel.fill_between(
                budgets, quartiles[:, 0], quartiles[:, 2], alpha=0.15, color=drawn.get_color()
            )
        panel.set(title=name, xscale="log", xlabel="evaluations", ylabel="hypervolume")
        panel.legend(fontsize=6)
    OUT.mkdir(exist_ok=True)
    figure.tight_layout()
    figure.savefig(OUT / "strategies.png", dpi=120)


def _curves(lines: Mapping[str, Any]) -> Iterator[tuple[str, list[int], Any]]:
    for search, line in lines.items():
        if "hypervolume" in line:
            found = line["hypervolume"]
            yield search, [int(count) for count in found], np.array(list(found.values()))


if __name__ == "__main__":
    main()
