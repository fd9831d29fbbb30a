"""Training a supernet for a run: in this process or by Ray Train, resumable, kept in one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from search_space import Candidate, SearchSpace, checks
from senet_nas.cost import cost
from senet_nas.data import locked
from senet_nas.data.memory import MemoryBatches
from senet_nas.nn.supernet import Supernet
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.space_section import SpaceSection
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.weight_sharing.extremes import extreme
from senet_nas.search.weight_sharing.paths import PathSteps, SupernetTraining
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint, decisions_of
from senet_nas.training.group import ALONE, Group
from senet_nas.training.keeper import Keeper, Prepared
from senet_nas.training.loop import train_on
from senet_nas.training.precision import resolve_precision
from senet_nas.training.ray_cluster import check_cluster
from senet_nas.training.run_state import STATE_FILE
from senet_nas.training.state import EpochReport, StepReport
from strategies.one_shot import make_path_strategy, path_strategy_settings

SUPERNET_FILE = "supernet.safetensors"


@dataclass(frozen=True)
class SupernetJob:
    """What to train, on what, into which folder; other processes can be handed it. For the rest
    see `senet_nas.training.job.Job`."""

    space: SpaceSection
    evaluation: EvaluationSection
    supernet: SupernetSection
    out: Path
    save_seconds: float = 10.0
    save_minutes: float = 5.0
    tensorboard: bool = False

    def absolute(self) -> SupernetJob:
        """The job with its folder in full; other paths of a run file are so already."""
        return replace(self, out=self.out.absolute())


class OpenedSupernet:
    """A job with its images and its supernet there."""

    def __init__(self, job: SupernetJob, device: torch.device, group: Group) -> None:
        from senet_nas.search.evaluation import Evaluator

        self.job, self.device, self.group = job, device, group
        self.recipe = job.supernet.recipe_in_full()
        self.space = job.space.open()
        self.images = Evaluator(job.evaluation, str(device))
        self.batches = MemoryBatches(
            self.images.training,
            self.recipe.augmentation,
            self.recipe.batch_size // group.size,
            self.images.mean,
            self.images.std,
            resolve_precision(self.recipe.precision, device),
            group.rank,
            group.size,
            self.recipe.repeats,
        )
        self.training = SupernetTraining(
            seeded_supernet(self.space, len(self.images.classes), job.supernet.seed)
        )
        self.identity: dict[str, Any] = {
            "space": self.space.fingerprint(),
            "supernet": {
                "strategy": job.supernet.strategy,
                "settings": path_strategy_settings(job.supernet.strategy) | job.supernet.settings(),
                "seed": job.supernet.seed,
            },
            "recipe": {k: v for k, v in self.recipe.to_data().items() if k != "name"},
            "data": {
                "images": self.batches.count,
                "classes": list(self.images.classes),
                "size": job.evaluation.image_size,
                "mean": list(self.images.mean),
            },
            "split": split_of(job.evaluation),
        }

    def work(self, keeper: Keeper | None) -> None:
        """What each process does; the first of them has a keeper, and writes the supernet."""
        from senet_nas.training.run_state import load_state

        job = self.job
        state = keeper.start() if keeper else load_state(job.out, self.identity)[0]
        done = (state.epoch * self.batches.steps() + state.step) if state else 0
        smallest, largest = extremes(self.space, job.evaluation.image_size, self.images.classes)
        strategy = make_path_strategy(
            job.supernet.strategy,
            self.space,
            smallest,
            largest,
            job.supernet.seed,
            **job.supernet.settings(),
        )
        train_on(
            self.training,
            self.batches,
            self.recipe,
            seed=job.supernet.seed,
            device=self.device,
            state=state,
            observer=keeper,
            group=self.group,
            learn=PathSteps(self.training, strategy, done),
        )
        if keeper is not None:
            self._write(keeper.seconds)

    def _devices(self) -> int:
        """That this process computes with."""
        return 1 if self.device.type == "cuda" else torch.get_num_threads()

    def _write(self, seconds: float) -> None:
        job, images = self.job, self.images
        SupernetCheckpoint(
            weights=self.training.supernet.state_dict(),
            space=job.space.label(),
            fingerprint=self.space.fingerprint(),
            decisions=decisions_of(self.space),
            classes=images.classes,
            mean=images.mean,
            std=images.std,
            image_size=job.evaluation.image_size,
            split=self.identity["split"],
            training=self.identity["supernet"] | {"recipe": self.recipe.to_data()},
            seconds=seconds,
            device_seconds=seconds * self.group.size * self._devices(),
            skipped=int(self.training.skipped),
        ).save(job.out / SUPERNET_FILE)
        (job.out / STATE_FILE).unlink(missing_ok=True)


def begin(job: SupernetJob, device: torch.device, group: Group) -> Prepared:
    """One process's part of a training, ready to work."""
    opened = OpenedSupernet(job, device, group)
    return Prepared(opened.identity, opened.work)


def split_of(evaluation: EvaluationSection) -> dict[str, Any]:
    """What says which of the images a supernet has learned from, and which it hasn't seen."""
    return {
        "validation": evaluation.validation,
        "fraction": evaluation.fraction,
        "seed": evaluation.seed,
    }


def seeded_supernet(space: SearchSpace, classes: int, seed: int) -> Supernet:
    """A supernet whose initial weights depend on `seed` alone."""
    checks.seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(space, classes)


def extremes(
    space: SearchSpace, image_size: int, classes: tuple[str, ...]
) -> tuple[Candidate, Candidate]:
    """The candidates of the fewest and the most MACs, and of these of parameters."""

    def value(candidate: Candidate) -> float:
        counted = cost(space.build(candidate), image_size, len(classes))
        return counted.macs + counted.params

    return extreme(space, value, -1), extreme(space, value, 1)


def train_supernet(
    job: SupernetJob,
    *,
    device: str = "cpu",
    gpus_per_worker: float = 0.0,
    on_epoch: Callable[[EpochReport], object] | None = None,
    on_step: Callable[[StepReport], object] | None = None,
) -> Path:
    """Train to the recipe's last epoch, from where an earlier call stopped; the supernet's file,
    at once where there is one. More than one worker train together by Ray Train.

    Raises `InputError` where the folder holds another training, or one that another process is
    at, and `RunError` after ten steps in a row without a finite loss.
    """
    path = job.out / SUPERNET_FILE
    if path.exists():
        return path
    job = job.absolute()
    workers = job.supernet.workers
    alone = workers == 1
    if not alone:
        check_cluster()
    place = torch.device(device if alone else "cpu")
    opened = OpenedSupernet(job, place, ALONE if alone else Group(0, workers))
    keeper = Keeper(job, opened.identity, on_epoch, on_step)
    job.out.mkdir(parents=True, exist_ok=True)
    with locked(job.out, f"another process is training in {job.out}"):
        if alone:
            opened.work(keeper)
        else:
            from senet_nas.training.ray_train import train_together

            train_together(job, begin, workers, gpus_per_worker, on_epoch, on_step)
    return path
