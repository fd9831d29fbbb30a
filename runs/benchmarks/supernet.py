"""What a supernet's scores are worth, and what it takes: on real CIFAR-10, without Ray.

    python runs/benchmarks/supernet.py --data cifar10-jpeg.tar.xz --device cuda --jobs 8

For each space: a supernet is trained, and networks are both scored in it and trained
alone: some spread over the range of MACs, and some that differ in SE alone (one trunk). One JSON
line: Kendall's tau of each with its 95% interval, beside that of MACs alone (and, with --repeats 2,
that of one training alone with another); the seconds of each part; and the memory of a supernet's
step over that of its largest network's. --memory measures that alone. With --work, what has been
trained is kept there, and the same command goes on. Networks that `alone/` has by the same settings
aren't trained again: another way to train a supernet is then judged in minutes. With --set
tune_epochs=0.5, besides: what the same tuning ranks by itself, from weights that none has taught.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from runs.benchmarks import supernet_parts as parts
from search_space import Candidate


def memory_ratio(run: Any) -> float:
    """Of a step of the supernet's largest network, to a step of that network alone: weights, their
    gradients and momenta, and what the backward pass needs of the forward pass, in bytes."""
    from senet_nas.nn import build_network
    from senet_nas.search.weight_sharing.one_shot import extremes, seeded_supernet

    space, size = run.space.open(), run.evaluation.image_size
    _, largest = extremes(space, size, tuple("0123456789"))
    architecture = space.build(largest)
    supernet = seeded_supernet(space, 10, parts.SEED)
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


def sampled(space: str, options: argparse.Namespace) -> dict[str, list[Candidate]]:
    """Candidates spread over MACs, and candidates that differ in SE alone; those wanted."""
    from senet_nas.search.weight_sharing import trust

    run = parts.run_file(space, options)
    opened = run.space.open()
    alone = run.model_copy(update={"supernet": None})
    drawn = trust._drawn(alone, opened, 10, options.networks, parts.SEED, over_cost=True)
    plan = trust._with_se(trust.Plan(sample=drawn), opened, options.networks, alone, 10)
    both = {"all": list(plan.sample), "se": list(plan.se)}
    return {name: both[name] for name in options.samples}


def correlations(options: argparse.Namespace) -> dict[str, Any]:
    """Both taus of each space."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        supernets, alone = {}, {}
        samples = {space: sampled(space, options) for space in options.spaces}
        for space, groups in samples.items():
            supernets[space] = pool.submit(parts.train_supernet, space, options)
            kept = parts.Kept(space, options)
            for seed in range(options.repeats):
                for candidate in _distinct(groups):
                    alone[space, candidate, seed] = kept.submit(
                        pool, space, options, candidate, seed
                    )
        for space, groups in samples.items():
            found[space] = {"supernet_seconds": supernets[space].result()}
            shared = {
                candidate: pool.submit(parts.evaluate, space, options, candidate, True)
                for candidate in _distinct(groups)
            }
            tuned = shared if parts.run_file(space, options).supernet.tune_epochs else ()
            untaught = {
                candidate: pool.submit(parts.tuned_untaught, space, options, candidate)
                for candidate in tuned
            }
            for name, group in groups.items():
                found[space][name] = compared(
                    [
                        [alone[space, c, seed]()[0] for seed in range(options.repeats)]
                        for c in group
                    ],
                    [shared[c].result()[0] for c in group],
                    [untaught[c].result() for c in group if c in untaught],
                )
            seconds = [result()[1] for (of, _, _), result in alone.items() if of == space]
            scoring = [future.result()[1] for future in shared.values()]
            found[space] |= {
                "alone_seconds_each": float(np.mean(seconds)),
                "score_seconds_each": float(np.median(scoring)),
                "memory_ratio": memory_ratio(parts.run_file(space, options)),
            }
    return found


def _distinct(groups: dict[str, list[Candidate]]) -> list[Candidate]:
    return list(dict.fromkeys(candidate for group in groups.values() for candidate in group))


def compared(
    alone: Sequence[Sequence[dict[str, float]]],
    shared: Sequence[dict[str, float]],
    untaught: Sequence[float] = (),
) -> dict[str, Any]:
    """Tau of accuracy in the supernet, and of MACs, with the mean accuracy over seeds alone, and
    with each seed's; and of two seeds with each other, since no score can be expected to agree
    better with one. untaught: accuracy after the same tuning, from initial weights."""
    from senet_nas.analysis.rank_correlation import partial_rho, rank_correlations

    by_seed = np.array([[scores["accuracy"] for scores in seeds] for seeds in alone])
    outcome = by_seed.mean(axis=1).tolist()
    columns = {
        "supernet": [scores["accuracy"] for scores in shared],
        "macs": [seeds[0]["macs"] for seeds in alone],
    }
    if untaught:
        columns["untaught"] = list(untaught)
    taus = rank_correlations(columns, outcome, nulls=["macs"])
    each = [rank_correlations(columns, seed.tolist())["supernet"].tau for seed in by_seed.T]
    found = {
        "tau": taus["supernet"].tau,
        "tau_by_seed": each,
        "interval": taus["supernet"].tau_interval,
        "tau_of_macs": taus["macs"].tau,
        "rho_given_macs": partial_rho(columns["supernet"], outcome, columns["macs"]),
        "networks": len(outcome),
        "accuracy_alone": [min(outcome), max(outcome)],
        "accuracy_shared": [min(columns["supernet"]), max(columns["supernet"])],
        "pairs": [
            [round(a, 2), round(s, 2)] for a, s in zip(outcome, columns["supernet"], strict=True)
        ],
    }
    if untaught:
        found["tau_of_tuning_alone"] = taus["untaught"].tau
        found["accuracy_untaught"] = [min(untaught), max(untaught)]
    if by_seed.shape[1] > 1:
        seeds = {"second": by_seed[:, 1].tolist()}
        found["tau_of_seeds"] = rank_correlations(seeds, by_seed[:, 0].tolist())["second"].tau
    return found


def main() -> None:
    """Parse, measure, print one JSON line."""
    parser = parts.options_of(__doc__, ["cifar_mobile", "cifar_residual"], 15)
    parser.add_argument("--networks", type=int, default=20, help="of each sample")
    parser.add_argument("--samples", nargs="+", choices=["all", "se"], default=["all", "se"])
    parser.add_argument("--repeats", type=int, default=1, help="trainings of each, by other seeds")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        spaces = options.spaces
        found = {space: memory_ratio(parts.run_file(space, options)) for space in spaces}
        parts.printed("supernet_memory", options, found)
        return
    with tempfile.TemporaryDirectory() as temporary:
        options.work = options.work or Path(temporary)
        parts.printed("supernet", options, correlations(options))


if __name__ == "__main__":
    main()
