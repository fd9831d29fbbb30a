"""How long a supernet's run will take, by a few of its steps, before hours are spent."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from senet_nas.search.evaluation import Evaluator
from senet_nas.search.run_file import RunFile
from senet_nas.search.weight_sharing.differentiable import DifferentiableSearch
from senet_nas.search.weight_sharing.one_shot import OpenedSupernet, SupernetJob, extremes
from senet_nas.search.weight_sharing.paths import PathSteps
from senet_nas.training.device import cpu_threads
from senet_nas.training.group import ALONE
from senet_nas.training.loop import train_on
from senet_nas.training.state import Observer, StepReport
from strategies.one_shot import make_path_strategy

STEPS = 4


class _EnoughError(Exception):
    """So many steps are over."""


class _Clock(Observer):
    """Takes the time of each step, and stops."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_step(self, report: StepReport) -> None:
        """See `Observer`."""
        self.times.append(time.perf_counter())
        if len(self.times) > STEPS:
            raise _EnoughError


def training_seconds(run: RunFile) -> float:
    """Of the supernet of a one-shot run, from the speed of its first steps after the first; 0
    where it names one that is trained."""
    section = run.supernet
    assert section is not None
    if section.checkpoint is not None:
        return 0.0
    device = torch.device("cuda" if run.resources.gpus_per_trial else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        job = SupernetJob(run.space, run.evaluation, section, Path(folder))
        opened = OpenedSupernet(job, device, ALONE)
    clock = _Clock()
    ends = extremes(opened.space, run.evaluation.image_size, opened.images.classes)
    strategy = make_path_strategy(
        section.strategy, opened.space, *ends, section.seed, **section.settings()
    )
    few = replace(opened.recipe, epochs=STEPS + 1, warmup_epochs=0.0)
    with suppress(_EnoughError):
        train_on(
            opened.training,
            opened.batches,
            few,
            seed=section.seed,
            device=device,
            observer=clock,
            learn=PathSteps(opened.training, strategy),
        )
    steps = opened.batches.steps() * opened.recipe.epochs
    return (clock.times[-1] - clock.times[0]) / STEPS * steps / section.workers


def search_seconds(run: RunFile) -> float:
    """Of one differentiable search, from the speed of its first steps after the first, with the
    CPUs or the GPU of a trial. What steps take changes while alpha learns, except in `darts`."""
    section = run.supernet
    assert section is not None
    with cpu_threads(run.resources.cpus):
        evaluator = Evaluator(run.evaluation, "cuda" if run.resources.gpus_per_trial else "cpu")
        target, seed = section.tasks()[0]
        search = DifferentiableSearch(run.space.open(), evaluator, section, target, seed, Path())
        times = search.step_times(STEPS + 1)
        taken = statistics.mean(times[1:])
        return taken * search.weights_half.steps() * search.recipe.epochs
