"""What the benchmarks of a supernet share: training one, training and scoring networks of a space.

No benchmark itself. What has been trained is kept in a folder (`--work`), so that a benchmark
stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

# Beside this file stands a `strategies.py`, which is not the package.
sys.path[:] = [
    str(Path(__file__).parents[2]),
    *(p for p in sys.path if p != str(Path(__file__).parent)),
]

from search_space import Candidate  # noqa: E402
from search_space.checks import parse_assignment  # noqa: E402

SEED = 0
SUPERNET_FILE = "supernet.safetensors"
ALONE = Path(__file__).parent / "alone"  # a file a space: so that a supernet is judged in minutes
ALONE_FILE = "alone.jsonl"
ALONE_SETTINGS = ("alone_epochs", "alone_batch", "image_size", "fraction", "precision")
_EVALUATORS: dict[str, Any] = {}


def options_of(description: str | None, spaces: list[str], epochs: int) -> argparse.ArgumentParser:
    """What both ask for. epochs: of the supernet, by default."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="CIFAR-10; the carried sample else")
    parser.add_argument("--spaces", nargs="+", default=spaces)
    parser.add_argument("--work", type=Path, help="folder of what is trained; a temporary one else")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--threads", type=int, default=1, help="of a supernet's training")
    parser.add_argument("--strategy", default="single_path")
    parser.add_argument("--set", nargs="+", default=[], help="of the strategy: key=value")
    parser.add_argument("--epochs", type=int, default=epochs, help="of the supernet")
    parser.add_argument("--batch", type=int, default=64, help="of the supernet")
    parser.add_argument("--recipe", default="supernet", help="of the supernet")
    parser.add_argument("--alone-epochs", type=int, default=5)
    parser.add_argument("--alone-batch", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--limit-macs", type=float, help="of networks compared; none else")
    return parser


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
        "recipe": options.recipe,
        "epochs": options.epochs,
        "batch_size": options.batch,
        "precision": options.precision,
    }
    supernet |= {keys[0]: value for keys, value in map(parse_assignment, options.set)}
    table = {
        "space": {"name": space},
        "strategy": {"name": "nsga2"},
        "evaluation": evaluation,
        "supernet": supernet,
        "budget": {"trials": 1},
        "limits": {"macs": options.limit_macs} if options.limit_macs else {},
    }
    return parse_run_file(table, "benchmark")


def supernet_of(space: str, options: argparse.Namespace) -> Path:
    """Where a space's is kept."""
    return Path(options.work) / space / SUPERNET_FILE


def train_supernet(space: str, options: argparse.Namespace) -> float:
    """Train one, or go on with it; the seconds that training has taken."""
    import torch

    from senet_nas.search.weight_sharing import one_shot
    from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint

    torch.set_num_threads(options.threads)
    run = run_file(space, options)
    path = supernet_of(space, options)
    job = one_shot.SupernetJob(run.space, run.evaluation, run.supernet, path.parent)
    one_shot.train_supernet(
        job, device=options.device, on_epoch=lambda report: print(space, report, file=sys.stderr)
    )
    return SupernetCheckpoint.load(path).seconds


def evaluate(
    space: str, options: argparse.Namespace, candidate: Candidate, shared: bool, seed: int = SEED
) -> tuple[dict[str, float], float]:
    """Scores of one network, trained alone or with the supernet's weights; seconds. seed: of the
    initial weights and the order of images; the split stays."""
    import torch

    torch.set_num_threads(1)
    run = run_file(space, options)
    opened = run.space.open()
    evaluator = _evaluator(space, options, shared)
    evaluator.settings = run.evaluation.model_copy(update={"seed": seed})
    started = time.perf_counter()
    scores = evaluator.at_rung(opened.build(candidate), 0)[0].scores
    return scores, time.perf_counter() - started


def _evaluator(space: str, options: argparse.Namespace, shared: bool) -> Any:
    """What scores a space's networks, kept open."""
    from senet_nas.search.evaluation import Evaluator
    from senet_nas.search.weight_sharing.scoring import SupernetEvaluator

    key = f"{space} {shared}"
    if key not in _EVALUATORS:
        run = run_file(space, options)
        path, device = supernet_of(space, options), options.device
        _EVALUATORS[key] = (
            SupernetEvaluator(run.evaluation, run.space.open(), path, run.supernet, device)
            if shared
            else Evaluator(run.evaluation, device)
        )
    return _EVALUATORS[key]


def tuned_untaught(space: str, options: argparse.Namespace, candidate: Candidate) -> float:
    """Accuracy of a network after the same tuning from weights that no supernet has taught."""
    import torch

    from senet_nas.training import seeded_network

    torch.set_num_threads(1)
    evaluator = _evaluator(space, options, True)
    built = run_file(space, options).space.open().build(candidate)
    network = seeded_network(built, len(evaluator.classes), options.image_size, SEED)
    return float(evaluator.validated(evaluator.tuning(network)).top1)


def forget() -> None:
    """Drop the supernets that `evaluate` keeps open, before others are trained in their place."""
    _EVALUATORS.clear()


class Kept:
    """Networks of a space trained alone, each a JSON line of a file as soon as it is there, with
    the settings that it was trained by. Those in `ALONE` need no training either."""

    def __init__(self, space: str, options: argparse.Namespace) -> None:
        self.path = Path(options.work) / space / ALONE_FILE
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.settings = {name: getattr(options, name) for name in ALONE_SETTINGS}
        self.settings["data"] = "CIFAR-10" if options.data else "its sample"
        self.found: dict[tuple[Candidate, int], tuple[dict[str, float], float]] = {}
        for path in (ALONE / f"{space}.jsonl", self.path):
            for line in path.read_text().splitlines() if path.exists() else ():
                entry = json.loads(line)
                if entry["settings"] == self.settings:
                    key = tuple(entry["candidate"]), entry["seed"]
                    self.found[key] = entry["scores"], entry["seconds"]

    def submit(
        self,
        pool: ProcessPoolExecutor,
        space: str,
        options: argparse.Namespace,
        candidate: Candidate,
        seed: int,
    ) -> Callable[[], tuple[dict[str, float], float]]:
        """Have one trained where it isn't yet; what gives its scores and seconds."""
        if (candidate, seed) in self.found:
            return lambda: self.found[candidate, seed]
        future = pool.submit(evaluate, space, options, candidate, False, seed)
        future.add_done_callback(lambda done: self._keep(candidate, seed, done))
        return future.result

    def _keep(
        self, candidate: Candidate, seed: int, done: Future[tuple[dict[str, float], float]]
    ) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        scores, seconds = done.result()
        entry = {"candidate": candidate, "seed": seed, "scores": scores, "seconds": seconds}
        entry["settings"] = self.settings
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def print_spaces(
    benchmark: str,
    options: argparse.Namespace,
    measure: Callable[[str, argparse.Namespace], dict[str, Any]],
) -> None:
    """Measure each space, in a temporary folder where none is given, and print the line."""
    with tempfile.TemporaryDirectory() as folder:
        options.work = options.work or Path(folder)
        found = {space: measure(space, options) for space in options.spaces}
    printed(benchmark, options, found)


def printed(benchmark: str, options: argparse.Namespace, found: dict[str, Any]) -> None:
    """The line."""
    settings = {k: v for k, v in vars(options).items() if k not in ("data", "work")}
    print(json.dumps({"benchmark": benchmark, "settings": settings, **found}), flush=True)
