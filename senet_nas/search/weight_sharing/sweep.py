"""A run of a differentiable strategy: a search for each target and seed, each a trial."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet_nas.search.launches import record_launch
from senet_nas.search.outcome import Outcome, Task, Trials
from senet_nas.search.run_folder import RunFolder, TrialRecord
from senet_nas.search.tabled_latency import predicted_by

if TYPE_CHECKING:
    from senet_nas.search.running import Progress

FOLDER = "relaxed"
SECONDS_BETWEEN_LOOKS = 1.0


class Sweep:
    """One start of such a run, new or resumed. What a search finds is trained alone as any
    candidate, and that is its trial; how it went is in `relaxed/`."""

    def __init__(self, folder: RunFolder, num_classes: int, progress: Progress) -> None:
        self.folder, self.num_classes, self.progress = folder, num_classes, progress
        self.run = folder.run_file()
        assert self.run.supernet is not None
        self.section = self.run.supernet
        self.space = self.run.space.open()
        self.records = folder.trials()
        self._predicted_by = predicted_by(self.run.evaluation)
        self._elapsed_before = max((r.elapsed_seconds for r in self.records), default=0.0)
        self._started = time.perf_counter()
        done = {record.number for record in self.records}
        most = self.run.budget.trials
        tasks = self.section.tasks()[:most]
        self._tasks = len(tasks)
        self._total = self.section.recipe_in_full().epochs
        self._running: set[int] = set()
        self._told: dict[int, int] = {}  # epochs of each search that were told of
        self._looked = 0.0
        self._due = [number for number in range(len(tasks)) if number not in done]

    def elapsed_seconds(self) -> float:
        """Seconds that this run has been running, over all of its starts."""
        return self._elapsed_before + time.perf_counter() - self._started

    def next_task(self) -> Task:
        """The next search. Raises StopIteration where there are no more, or time is over."""
        seconds = self.run.budget.seconds
        if not self._due or (seconds is not None and self.elapsed_seconds() >= seconds):
            raise StopIteration
        self._running.add(self._due[0])
        return Task(self._due.pop(0), ())

    def record(self, outcome: Outcome) -> None:
        """Put a trial on disk."""
        self._running.discard(outcome.task.number)
        record = TrialRecord.of(
            outcome,
            self.space,
            elapsed_seconds=round(self.elapsed_seconds(), 3),
            epochs=self.run.epochs_in_full(),
            latency=None if outcome.scores is None else self._predicted_by,
        )
        self.folder.append(record)
        self.records.append(record)
        self.progress.finished(record)
        self._say(record.number)

    def _tick(self) -> None:
        """Tell the time, and of epochs that are over."""
        self.progress.tick(self.elapsed_seconds())
        if time.perf_counter() - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.perf_counter()
        for number in sorted(self._running):
            epochs = self._history(number).get("epochs", [])
            if len(epochs) > self._told.get(number, 0):
                self._told[number] = len(epochs)
                print(_line(number, epochs[-1], self._total), file=sys.stderr, flush=True)

    def _history(self, number: int) -> dict[str, Any]:
        path = history_file(self.folder.path / FOLDER, number)
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    def _say(self, number: int) -> None:
        """What a search has to say of itself."""
        history = self._history(number)
        for warning in history.get("warnings", []):
            target = "" if history["target"] is None else f" (target {history['target']:.4g})"
            print(f"trial {number}{target}: {warning}", file=sys.stderr, flush=True)

    def execute(self) -> None:
        """Run until all searches are done, or the budget is spent."""
        from senet_nas.search.tune_runner import run_trials

        if self._due:
            record_launch(self.folder, len(self.records))
            budget = self.run.budget.model_copy(update={"trials": self._tasks})
            self.progress.start(self.run.model_copy(update={"budget": budget}), self.records)
            self._started = time.perf_counter()
            trials = Trials(self.next_task, self.record, self._tick)
            out = self.folder.path / FOLDER
            run_trials(self.run, trials, self.folder.path / "paused", relaxed=out)
        self._check_trust()

    def _check_trust(self) -> None:
        """Hold the first search's supernet against training alone, and what was found against
        random search."""
        from senet_nas.search.weight_sharing.trust import check_trust

        done = [record for record in self.records if record.scores is not None]
        files = [supernet_file(self.folder.path / FOLDER, record.number) for record in done]
        supernet = next((file for file in files if file.exists()), None)
        if supernet is None:
            return
        resources = self.run.resources
        devices = resources.gpus_per_trial or resources.cpus
        spent = devices * sum(record.train_seconds for record in self.records)
        found = [record.candidate for record in done]
        check_trust(self.run, self.folder, supernet, self.num_classes, found, spent)


def _line(number: int, epoch: dict[str, Any], total: int) -> str:
    """An epoch of a search in one line."""
    expected = "" if epoch["expected"] is None else f" · expected cost {epoch['expected']:.4g}"
    return (
        f"trial {number}: epoch {epoch['epoch']}/{total} · loss {epoch['loss']:.3f}{expected} · "
        f"entropy {epoch['entropy']:.2f} · {epoch['seconds']:.0f} s"
    )


def history_file(folder: Path, number: int) -> Path:
    """How a search went, as JSON."""
    return folder / f"trial_{number}.json"


def supernet_file(folder: Path, number: int) -> Path:
    """The supernet that a search trained."""
    return folder / f"trial_{number}.supernet.safetensors"


def state_file(folder: Path, number: int) -> Path:
    """Where a search stands that isn't over."""
    return folder / f"trial_{number}.state.safetensors"
