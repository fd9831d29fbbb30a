"""The one door to Ray Tune: candidates from a strategy go to reused workers, results come back.

Each trial is one step of a Tune trainable whose actor is kept for the next, with the decoded
images in it, so that a trial costs little beyond its training. Where trials are trained in rungs,
each rung is a step, and `tune_scheduler` pauses them between. Tune restarts a trial once where its
worker failed; everything else about a trial is the project's own.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before ray is imported: Ctrl-C comes through to us, the run folder is the one record.
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # paths of the user's may be relative
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.search import Searcher

from senet_nas.search.outcome import Outcome, Task, Trials
from senet_nas.search.resources import workers
from senet_nas.search.resources_section import ResourcesSection
from senet_nas.search.run_file import RunFile
from senet_nas.search.tune_relaxed import RelaxedTrainable
from senet_nas.search.tune_scheduler import RungScheduler
from senet_nas.search.tune_trainable import CandidateTrainable
from senet_nas.training.ray_cluster import on_ray

logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are ours to tell


def run_trials(
    run: RunFile,
    trials: Trials,
    states: Path,
    start: Path | None = None,
    inherit_epochs: int | None = None,
    supernet: Path | None = None,
    relaxed: Path | None = None,
) -> None:
    """Run trials on Ray Tune until `trials.next_task` raises StopIteration.

    Uses Ray where this process has started it, the cluster at RAY_ADDRESS where that is set, and
    else starts Ray on this machine for this run. states: the folder of paused trials, or of
    parents. start: a file of weights to train from (`Start`). Every worker must be able to reach
    both. TensorBoard's files are written beside states. inherit_epochs: of a trial that has a
    parent, where trials have.
    supernet: a file in which trials are scored, in place of being trained. relaxed: the folder of
    differentiable searches, where trials are these.
    Raises `InputError` where the resources asked for aren't there.
    """
    with on_ray():
        adapter = _Adapter(trials, _workers(run.resources))
        with tempfile.TemporaryDirectory(prefix="senet-nas-") as storage:
            tune.Tuner(
                _trainable(run, states, start, inherit_epochs, supernet, relaxed),
                tune_config=tune.TuneConfig(
                    search_alg=adapter,
                    scheduler=RungScheduler(adapter) if run.fidelity else None,
                    num_samples=-1,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    storage_path=storage,
                    verbose=0,
                    callbacks=[_Listener(adapter), *_loggers(run.resources, states.parent)],
                    failure_config=tune.FailureConfig(max_failures=1),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
        if adapter.error is not None:
            raise adapter.error


def _loggers(resources: ResourcesSection, folder: Path) -> list[tune.Callback]:
    if not resources.tensorboard:
        return []
    from senet_nas.search.tune_tensorboard import TensorBoard

    return [TensorBoard(folder)]


def _workers(resources: ResourcesSection) -> int:
    there = ray.cluster_resources()
    return workers(resources, there.get("CPU", 0.0), there.get("GPU", 0.0))


def _trainable(
    run: RunFile,
    states: Path,
    start: Path | None,
    inherit_epochs: int | None,
    supernet: Path | None,
    relaxed: Path | None,
) -> Any:
    resources = {"cpu": run.resources.cpus, "gpu": run.resources.gpus_per_trial}
    with_settings = tune.with_parameters(
        CandidateTrainable if relaxed is None else RelaxedTrainable,
        settings={
            "space": run.space.model_dump(),
            "evaluation": run.evaluation.model_dump(),
            "rungs": [rung.model_dump() for rung in run.fidelity.rungs] if run.fidelity else [],
            "states": str(states.absolute()),
            "inherit_epochs": inherit_epochs,
            "latency": "latency_ms" in {*run.objectives, *run.limits},
            "cpus": run.resources.cpus,
            "gpus": run.resources.gpus_per_trial,
            "start": None if start is None else str(start.absolute()),
            "supernet": None if supernet is None else str(supernet.absolute()),
            "relaxed": None if relaxed is None else str(relaxed.absolute()),
            "section": None if run.supernet is None else run.supernet.model_dump(),
            "label": run.space.label(),
        },
    )
    return tune.with_resources(with_settings, resources)


class _Adapter(Searcher):  # type: ignore[misc]
    """Ray Tune's searcher over `Trials`. Tune sees no scores: strategies have several."""

    def __init__(self, trials: Trials, workers: int) -> None:
        super().__init__(metric="done", mode="max")
        self.trials = trials
        self.workers = workers
        self.error: BaseException | None = None
        self.is_over = False
        self._running: dict[str, tuple[Task, float, int]] = {}
        self._paused: dict[int, Any] = {}  # Tune's own trials by number
        self._promoted: list[Any] = []

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self._running) >= self.workers and self.error is None:
            return None
        try:
            if self.error is not None:
                raise StopIteration
            task = self.trials.next_task()
        except StopIteration:
            self.is_over = True
            return str(Searcher.FINISHED)
        if task is None:
            return None
        config = asdict(task)
        paused = self._paused.pop(task.number, None)
        if paused is None:  # a new trial, or one that another start of the run has paused
            self._running[trial_id] = task, time.perf_counter(), 0
            return config
        self._running[paused.trial_id] = task, time.perf_counter(), paused.num_failures
        paused.set_config(config)
        self._promoted.append(paused)
        return None

    def promoted(self) -> Any:
        """A paused trial of Tune's that is to run now, None where there is none."""
        return self._promoted.pop(0) if self._promoted else None

    def let_go(self) -> list[Any]:
        """Tune's trials that are paused at the end of the search, each given once."""
        paused, self._paused = (self._paused, {}) if self.is_over else ({}, self._paused)
        return list(paused.values())

    def pause(self, trial: Any, result: dict[str, Any]) -> None:
        """Record a rung that a trial has finished, and that isn't the last."""
        number = self._running[trial.trial_id][0].number
        self.finish(trial, result)
        self._paused[number] = trial

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the listener has the whole trial, with what went wrong."""

    def finish(self, trial: Any, result: dict[str, Any] | None) -> None:
        """Record an evaluation that is over. result: None where it failed."""
        if trial.trial_id not in self._running:  # paused, and let go at the end of the run
            return
        task, started, failures = self._running.pop(trial.trial_id)
        given = result or {}
        scores = given.get("scores")
        outcome = Outcome(
            task,
            scores,
            None if scores else given.get("reason") or _reason(trial),
            given.get("train_seconds", 0.0),
            time.perf_counter() - started,
            trial.num_failures - failures + (result is not None),
            tuple(given.get("curve", ())),
            tuple(given["found"]) if "found" in given else None,
        )
        try:
            self.trials.record(outcome)
        except Exception as fault:  # Tune would swallow it and go on
            self.error = fault

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps copies for a restore of its own; ours is `trials.jsonl`

    def save(self, checkpoint_path: str) -> None:
        """Nothing: `trials.jsonl` is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, likewise."""


class _Listener(tune.Callback):  # type: ignore[misc]
    """Tells the adapter of every evaluation that is over."""

    def __init__(self, adapter: _Adapter) -> None:
        self.adapter = adapter

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.adapter.trials.tick()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if not result["done"]:
            self.adapter.pause(trial, result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.adapter.finish(trial, trial.last_result or {})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.adapter.finish(trial, None)


def _reason(trial: Any) -> str:
    """The last line of what the worker raised last, or that it died."""
    file = Path(trial.error_file) if trial.error_file else None
    if file is None or not file.exists():
        return "no result"
    last = file.read_text(encoding="utf-8", errors="replace").rpartition("Failure # ")[2]
    if "The actor died" in last and "creation task" not in last:
        return "its worker died"
    return last.strip().splitlines()[-1].strip()[:500]
