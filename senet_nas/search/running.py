"""A search from start to end: strategy, run folder and workers brought together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from search_space import Candidate, InputError
from search_space.errors import RunError
from senet_nas.search.halving import Halving
from senet_nas.search.inheriting import Inheritance
from senet_nas.search.launches import record_launch
from senet_nas.search.outcome import Outcome, Task, Trials
from senet_nas.search.paused import FOLDER, WEIGHTS_FOLDER, Paused
from senet_nas.search.preparation import build_strategy, preflight
from senet_nas.search.run_file import RunFile
from senet_nas.search.run_folder import RunFolder, TrialRecord
from senet_nas.search.settling import settled
from senet_nas.search.starting import START_FILE, make_start, start_file
from senet_nas.search.tabled_latency import predicted_by
from senet_nas.search.weight_sharing.sweep import Sweep

HOPELESS = 5  # first trials that all fail for one reason


class Progress(Protocol):
    """What is told of a search while it runs."""

    def start(self, run: RunFile, records: list[TrialRecord]) -> None:
        """The search begins, with what an earlier start of it had finished."""

    def tick(self, elapsed_seconds: float) -> None:
        """Time has passed."""

    def finished(self, record: TrialRecord) -> None:
        """A trial is over and recorded."""


class Running:
    """One start of a search, new or resumed."""

    def __init__(self, folder: RunFolder, num_classes: int, progress: Progress) -> None:
        self.folder = folder
        self.run = folder.run_file()
        self.space = self.run.space.open()
        self.strategy = build_strategy(self.run, self.space, num_classes)
        self.progress = progress
        self.num_classes = num_classes
        self.records = folder.trials()
        self._predicted_by = predicted_by(self.run.evaluation)
        for line, record in enumerate(self.records, start=1):
            try:
                self.strategy.tell(record.candidate, record.scores, record.rung)
            except InputError as error:
                raise InputError(f"{folder.trials_file}: line {line}: {error}") from None
        inherits = self.strategy.inheriting
        self._states = folder.path / (FOLDER if inherits is None else WEIGHTS_FOLDER)
        self._halving = self._make_halving()
        self._inheritance = (
            None if inherits is None else Inheritance(inherits, Paused(self._states), self.records)
        )
        self._elapsed_before = max((r.elapsed_seconds for r in self.records), default=0.0)
        self._started = time.perf_counter()
        self._candidates = {record.number: record.candidate for record in self.records}
        self._numbers = {self.space.normalise(c): n for n, c in self._candidates.items()}
        self._parents = {record.number: record.parents for record in self.records}
        self._epochs = sum(record.epochs for record in self.records)
        self._in_flight: dict[int, float] = {}  # trial to the epochs that it takes
        self._next_number = 1 + max(self._candidates, default=-1)

    def _make_halving(self) -> Halving | None:
        fidelity = self.run.fidelity
        if fidelity is None:
            return None
        return Halving(fidelity, self.run.objectives, Paused(self._states), self.records)

    def elapsed_seconds(self) -> float:
        """Seconds that this run has been running, over all of its starts."""
        return self._elapsed_before + time.perf_counter() - self._started

    def next_task(self) -> Task | None:
        """The next evaluation: of a trial that goes on, where one may, else of a new one. None to
        wait. Raises StopIteration when the budget is spent or the space exhausted."""
        due = None if self._halving is None else self._halving.next()
        if self._halving is not None and due is not None:
            self._check_budget(due[1])
            self._halving.promote(due[0])
            return self._start(Task(due[0], self._candidates[due[0]], due[1]))
        try:
            asked = self.ask()
        except StopIteration:
            if self._halving is None or not self._in_flight:
                raise
            self._check_budget(0)
            return None  # what is in flight may let another go on
        if asked is None:
            return None
        parent = None if self._inheritance is None else self._inheritance.begin(*asked)
        return self._start(Task(*asked, parent=parent))

    def ask(self) -> tuple[int, Candidate] | None:
        """The next new trial; None to wait. Raises StopIteration as `next_task`."""
        trials = self.run.budget.trials
        if trials is not None and len(self._candidates) >= trials:
            raise StopIteration
        self._check_budget(0)
        candidate = self.strategy.ask()
        if candidate is None:
            if self.strategy.exhausted or not self._in_flight:
                raise StopIteration
            return None
        number = self._next_number
        self._next_number += 1
        self._numbers[candidate] = number
        self._parents[number] = tuple(self._numbers[p] for p in self.strategy.parents(candidate))
        return number, candidate

    def _start(self, task: Task) -> Task:
        self._in_flight[task.number] = self._epochs_of(task.rung, task.parent is not None)
        self._candidates[task.number] = task.candidate
        return task

    def _check_budget(self, rung: int) -> None:
        """Raise StopIteration where time is over, or there aren't the epochs for this rung."""
        budget = self.run.budget
        if budget.seconds is not None and self.elapsed_seconds() >= budget.seconds:
            raise StopIteration
        if budget.epochs is not None:
            spent = self._epochs + sum(self._in_flight.values())
            inherits = self._inheritance is not None and self._inheritance.applies
            if spent + self._epochs_of(rung, inherits) > budget.epochs * (1 + 1e-9):
                raise StopIteration

    def _epochs_of(self, rung: int, inherits: bool) -> float:
        if inherits and self._inheritance is not None:
            return float(self._inheritance.epochs)
        return self.run.epochs_spent(rung)

    def record(self, outcome: Outcome) -> None:
        """Put an evaluation on disk, then tell the strategy.

        Raises `RunError` where the first ones all failed for the same reason."""
        task = outcome.task
        record = TrialRecord.of(
            outcome,
            self.space,
            elapsed_seconds=round(self.elapsed_seconds(), 3),
            epochs=self._in_flight.pop(task.number),
            parents=self._parents[task.number],
            latency=None if outcome.scores is None else self._predicted_by,
        )
        self.folder.append(record)
        self.records.append(record)
        self._epochs += record.epochs
        self.strategy.tell(record.candidate, record.scores, record.rung)
        if self._halving is not None:
            self._halving.enter(record)
        if self._inheritance is not None:
            self._inheritance.enter(record)
        self.progress.finished(record)
        reasons = {each.reason for each in self.records}
        if len(self.records) == HOPELESS and None not in reasons and len(reasons) == 1:
            raise RunError(f"the first {HOPELESS} trials all failed: {record.reason}")

    def execute(self) -> None:
        """Run until the budget is spent."""
        if not self.is_over():
            record_launch(self.folder, len(self.records))
        supernet = self._supernet()
        if not self.is_over():
            self._run_trials(supernet)
        elif supernet is not None and not self.records:
            raise RunError(
                f"training the supernet took {self._elapsed_before:.0f} s of the budget of "
                f"{self.run.budget.seconds:.0f} s, so no network was scored; go on with `senet-nas "
                f"resume {self.folder.path} --set budget.seconds=...`"
            )
        if supernet is not None:
            self._check_trust(supernet)

    def _run_trials(self, supernet: Path | None) -> None:
        from senet_nas.search.tune_runner import run_trials

        self.progress.start(self.run, self.records)
        self._started = time.perf_counter()
        trials = Trials(
            self.next_task, self.record, lambda: self.progress.tick(self.elapsed_seconds())
        )
        inherit_epochs = None if self._inheritance is None else self._inheritance.epochs
        start = start_file(self.folder)
        run_trials(self.run, trials, self._states, start, inherit_epochs, supernet)

    def _supernet(self) -> Path | None:
        """The supernet that the run scores its candidates in, trained where it isn't yet. Its
        training is part of the time that the run takes, where it is the run's own."""
        if self.run.supernet is None:
            return None
        from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint
        from senet_nas.search.weight_sharing.training import supernet_of

        path = supernet_of(self.run, self.folder.path)
        if not self.records and self.run.supernet.checkpoint is None:
            self._elapsed_before = SupernetCheckpoint.load(path).seconds
            self._started = time.perf_counter()
        return path

    def _check_trust(self, supernet: Path) -> None:
        """Hold the scores against training alone, and the front against random search."""
        from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint
        from senet_nas.search.weight_sharing.trust import check_trust

        resources = self.run.resources
        devices = resources.gpus_per_trial or resources.cpus
        spent = SupernetCheckpoint.load(supernet).device_seconds
        spent += devices * sum(record.train_seconds for record in self.records)
        front = [candidate for candidate, _ in self.strategy.front()]
        check_trust(self.run, self.folder, supernet, self.num_classes, front, spent)

    def is_over(self) -> bool:
        """Whether the budget was spent before this start."""
        due = None if self._halving is None else self._halving.next()
        try:
            self._check_budget(due[1] if due else 0)
        except StopIteration:
            return True
        trials = self.run.budget.trials
        return due is None and trials is not None and len(self._candidates) >= trials


def _starting(folder: RunFolder, num_classes: int, progress: Progress) -> Running | Sweep:
    supernet = folder.run_file().supernet
    if supernet is not None and supernet.is_differentiable:
        return Sweep(folder, num_classes, progress)
    return Running(folder, num_classes, progress)


def search(run: RunFile, out: Path, progress: Progress) -> RunFolder:
    """A new run in the folder `out`. Raises `InputError` for what a user can mend, before
    anything is written."""
    classes = preflight(run)
    if run.supernet is not None:
        from senet_nas.search.weight_sharing.checks import check_training_room

        check_training_room(run)
    start = make_start(run, classes)
    folder = RunFolder.create(out, run)
    with folder.lock():
        if (whole := settled(run, len(classes))) != run:
            folder.define(whole)
        if start is not None:
            start.save(folder.path / START_FILE)
        _starting(folder, len(classes), progress).execute()
    return folder


def resume(
    path: Path, progress: Progress, sets: Sequence[str] = (), like: RunFile | None = None
) -> RunFolder:
    """Go on with a run where it stopped; at once where it had ended.

    sets: `key=value` settings of its budget and resources to change; like: or a run that is the
    same but for these. Raises `InputError` where anything else differs.
    """
    folder = RunFolder.open(path)
    with folder.lock():
        run = folder.run_file()
        try:
            changed = run.with_means_of(like or folder.run_file(sets))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        classes = preflight(changed)
        changed = settled(changed, len(classes))
        if changed != run:
            folder.define(changed)
        if start_file(folder) is None and (start := make_start(run, classes)) is not None:
            start.save(folder.path / START_FILE)
        running = _starting(folder, len(classes), progress)
        folder.drop_half_line()
        running.execute()
    return folder
