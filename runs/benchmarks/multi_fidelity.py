"""What training in rungs saves: the same strategy, trained in full and by successive halving.

    python runs/benchmarks/multi_fidelity.py --table nas-bench-macro_cifar10.json.xz

Final accuracies are those of NAS-Bench-Macro, or without a table those of the synthetic problem on
`cifar_mobile` (`strategy_problems`). Learning curves are simulated; nothing is trained. With F the
final accuracy and E the epochs in full, after e epochs a network has

    F - gap (e^-1/2 - E^-1/2) / (1 - E^-1/2) + noise,

gap normal with mean 25 and standard deviation `--spread` percentage points, fixed by network and
seed: how much slower than others it learns. noise normal, standard deviation 1 / sqrt(e), none at
the end. The line prints the rank correlation with F at each rung that this leaves.

Prints one JSON line: medians and quartiles over seeds of the hypervolume by rungs, as a share of
that of the full search, the same for the strategy trained in full on as many epochs, and the share
of the full search's epochs that was spent.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The package `strategies` comes before the script of that name beside this one.
sys.path.insert(0, str(Path(__file__).parents[2]))

import moocore
import numpy as np
from scipy.stats import spearmanr
from strategy_problems import OBJECTIVES, nas_bench_macro, synthetic

from search_space import Candidate
from search_space.problems import Problem
from strategies import make_strategy
from strategies.core.halving import Rungs

RUNGS = (1, 3, 9, 27)
REDUCTION = 3
MEAN_GAP = 25.0


class Curves:
    """Simulated trainings of a problem's networks."""

    def __init__(self, problem: Problem, spread: float, seed: int) -> None:
        self.problem, self._spread, self._seed = problem, spread, seed

    def score(self, candidate: Candidate, epochs: int) -> dict[str, float]:
        """Its scores after so many epochs."""
        scores = dict(self.problem.score(candidate))
        rng = np.random.default_rng([self._seed, *candidate])
        gap = rng.normal(MEAN_GAP, self._spread)
        last = RUNGS[-1]
        if epochs < last:
            noise = np.random.default_rng([self._seed, epochs, *candidate]).normal()
            share = (epochs**-0.5 - last**-0.5) / (1 - last**-0.5)
            scores["accuracy"] += float(noise / epochs**0.5 - gap * share)
        return scores


def search(
    curves: Curves, strategy: str, settings: Mapping[str, Any], epochs: float, seed: int, rungs: int
) -> list[dict[str, float]]:
    """What a search with one worker has trained in full when the epochs are spent; rungs: 1 or
    all."""
    ends = RUNGS[-rungs:]
    space = curves.problem.space
    asking = make_strategy(strategy, space, OBJECTIVES, seed, rungs=rungs, **settings)
    halving = Rungs(rungs, REDUCTION, waiting=50)
    candidates: list[Candidate] = []
    finished, spent = [], 0.0
    while True:
        due = halving.next()
        if due is None:
            candidate = asking.ask()
            if candidate is None:
                return finished
            due = len(candidates), 0
            candidates.append(candidate)
        trial, rung = due
        spent += ends[rung] - (ends[rung - 1] if rung else 0)
        if spent > epochs:
            return finished
        if rung:
            halving.promote(trial)
        scores = curves.score(candidates[trial], ends[rung])
        asking.tell(candidates[trial], scores, rung)
        halving.enter(trial, rung, asking.objectives.losses(scores))
        if rung == rungs - 1:
            finished.append(scores)


def volume(found: list[dict[str, float]], problem: Problem) -> float:
    """Hypervolume over the problem's reference point."""
    losses = np.array([[-s["accuracy"], s["macs"]] for s in found])
    reference = [-problem.reference["accuracy"], problem.reference["macs"]]
    return float(moocore.hypervolume(losses, ref=reference))


def main() -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, help="NAS-Bench-Macro, JSON in xz")
    parser.add_argument("--strategy", default="nsga2")
    parser.add_argument("--population", type=int, default=20, help="of an evolving strategy")
    parser.add_argument("--trials", type=int, default=200, help="of the full search")
    parser.add_argument("--share", type=float, default=0.25, help="of its epochs, by rungs")
    parser.add_argument("--spread", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    problem = nas_bench_macro(given.table) if given.table else synthetic("cifar_mobile")
    evolves = given.strategy in ("nsga2", "regularized_evolution")
    settings = {"population_size": given.population} if evolves else {}
    epochs = given.trials * RUNGS[-1]
    by_rungs, in_full = [], []
    for seed in range(given.seeds):
        curves = Curves(problem, given.spread, seed)
        ways = ((epochs, 1), (given.share * epochs, len(RUNGS)), (given.share * epochs, 1))
        whole, halved, short = (
            volume(search(curves, given.strategy, settings, spent, seed, rungs), problem)
            for spent, rungs in ways
        )
        by_rungs.append(halved / whole)
        in_full.append(short / whole)
    result = {
        "benchmark": "multi_fidelity",
        "problem": problem.space.name,
        "strategy": given.strategy,
        "full_trials": given.trials,
        "rungs": RUNGS,
        "share_of_epochs": given.share,
        "seeds": given.seeds,
        "rank_correlation": _correlations(problem, given.spread),
        "hypervolume_by_rungs": _quartiles(by_rungs),
        "hypervolume_in_full_on_as_many_epochs": _quartiles(in_full),
    }
    print(json.dumps(result))


def _correlations(problem: Problem, spread: float, samples: int = 500) -> dict[str, float]:
    """Spearman's, of accuracy at each rung with the final one, among random networks."""
    rng = np.random.default_rng(0)
    drawn = [problem.space.sample(rng) for _ in range(samples)]
    curves = Curves(problem, spread, 0)
    final = [curves.score(c, RUNGS[-1])["accuracy"] for c in drawn]
    return {
        str(epochs): round(
            float(spearmanr([curves.score(c, epochs)["accuracy"] for c in drawn], final)[0]), 3
        )
        for epochs in RUNGS[:-1]
    }


def _quartiles(values: list[float]) -> dict[str, float]:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {"q1": round(low, 4), "median": round(median, 4), "q3": round(high, 4)}


if __name__ == "__main__":
    main()
