"""How a machine's cores are best split among trials, measured in seconds before a search of hours.

Worker processes train one network side by side as trials would, with a few splits in turn: so many
processes at a time, each with so many threads. `python -m senet_nas.search.split` is such a worker.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from search_space import blueprint_from_json
from search_space.errors import RunError
from senet_nas.data import ImageSet
from senet_nas.training import EpochReport, Recipe, TrainingState, seeded_network, train

MEASURED_SECONDS = 16.0  # of training, over all splits
ROUNDS = 2  # in which the splits take turns
STEP_SECONDS = 0.5  # of a step in one thread, at most: larger batches are made smaller
STEPS_AN_EPOCH = 2
FIRST_BATCH = 8  # images, by which the batch is chosen
PATIENCE = 60.0  # seconds, after which measuring is given up
HOPELESS = 0.5  # of the fastest's speed: what is slower isn't measured again
WORTHWHILE = 1.03  # times as fast, for which fewer trials at a time are taken


@dataclass(frozen=True)
class Split:
    """workers: trials at a time, each with so many cpus. images_per_second: of all together."""

    workers: int
    cpus: int
    images_per_second: float = 0.0

    def __str__(self) -> str:
        return f"{_of(self.workers, 'worker')} of {_of(self.cpus, 'CPU')}"


@dataclass(frozen=True)
class Training:
    """What workers train: an architecture's JSON, on images of random pixels."""

    architecture: str
    image_size: int
    classes: int
    batch_size: int
    precision: str


def possible_splits(cpus: int, workers: int) -> list[Split]:
    """1, 2, 4, ... CPUs a trial, and all of them. workers: that are wanted, 0 for any number."""
    powers = [1 << n for n in range(cpus.bit_length()) if 1 << n <= cpus]
    found = (Split(workers or cpus // each, each) for each in sorted({*powers, cpus}))
    return [split for split in found if split.workers * split.cpus <= cpus]


def measured_splits(
    training: Training, splits: list[Split], seconds: float = MEASURED_SECONDS
) -> list[Split]:
    """The splits with the images a second that each trains, in the order given.

    Raises `RunError` where workers fail, or take too long.
    """
    rates: dict[Split, list[float]] = {split: [] for split in splits}
    with _started(training, max(split.workers for split in splits)) as workers:
        batch = min(training.batch_size, FIRST_BATCH)
        alone = _asked(workers, 1, batch, STEP_SECONDS)  # when all have answered, all are there
        batch = max(batch, min(training.batch_size, int(min(alone) * STEP_SECONDS)))
        for number in range(ROUNDS):
            best = max((max(found, default=0.0) for found in rates.values()), default=0.0)
            for split, found in rates.items():
                if number == 0 or found[0] > HOPELESS * best:
                    each = seconds / ROUNDS / len(splits)
                    found.append(sum(_asked(workers[: split.workers], split.cpus, batch, each)))
    return [Split(s.workers, s.cpus, statistics.mean(found)) for s, found in rates.items()]


def best_split(measured: list[Split]) -> tuple[Split, str]:
    """The fastest, the one of fewer CPUs where others are hardly faster; and a line that says so.
    measured: two or more."""
    best = measured[0]
    for split in measured[1:]:
        if split.images_per_second > WORTHWHILE * best.images_per_second:
            best = split
    others = [split for split in measured if split is not best]
    next_best = max(others, key=lambda split: split.images_per_second)
    times = best.images_per_second / next_best.images_per_second
    return best, f"{best}: {times:.2f} times the steps a second of {next_best}"


def _of(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@contextlib.contextmanager
def _started(training: Training, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many workers; all are gone at the end, and when they have taken too long."""
    command = [sys.executable, "-m", "senet_nas.search.split", json.dumps(asdict(training))]
    workers: list[subprocess.Popen[str]] = []

    def kill() -> None:
        for worker in workers:
            worker.kill()

    timer = threading.Timer(PATIENCE, kill)
    timer.start()
    try:
        for _ in range(number):
            worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            workers.append(worker)
        yield workers
    finally:
        timer.cancel()
        kill()
        for worker in workers:
            worker.communicate()


def _asked(
    workers: list[subprocess.Popen[str]], threads: int, batch: int, seconds: float
) -> list[float]:
    """Images a second of each, all at once."""
    question = json.dumps({"threads": threads, "batch": batch, "seconds": seconds}) + "\n"
    try:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(question)
            worker.stdin.flush()
        return [float(worker.stdout.readline()) for worker in workers if worker.stdout is not None]
    except (OSError, ValueError):  # it is dead, or answers nothing
        raise RunError("a worker that measures the split of cores failed") from None


def _work() -> None:
    """Answer each question on stdin with a line on stdout, until there are no more."""
    training = Training(**json.loads(sys.argv[1]))
    architecture = blueprint_from_json(training.architecture)
    network = seeded_network(architecture, training.classes, training.image_size, 0)
    for line in sys.stdin:
        print(_images_per_second(network, training, **json.loads(line)), flush=True)


def _images_per_second(
    network: torch.nn.Module, training: Training, threads: int, batch: int, seconds: float
) -> float:
    """Of training for so long, after an epoch to warm up."""
    torch.set_num_threads(threads)
    shape = (STEPS_AN_EPOCH * batch, 3, training.image_size, training.image_size)
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=drawn)
    labels = torch.arange(len(pixels)) % training.classes
    images = ImageSet(pixels, labels, tuple(map(str, range(training.classes))))
    ends: list[float] = []

    def after_epoch(report: EpochReport, state: TrainingState) -> bool:
        ends.append(time.perf_counter())
        return len(ends) > 1 and ends[-1] - ends[0] >= seconds

    recipe: dict[str, Any] = {"learning_rate": 1e-5, "precision": training.precision}
    train(
        network,
        images,
        Recipe(epochs=10**6, batch_size=batch, **recipe),
        seed=0,
        on_epoch=after_epoch,
    )
    return (len(ends) - 1) * len(images) / (ends[-1] - ends[0])


if __name__ == "__main__":
    _work()
