"""A search's progress on stderr: a bar in a terminal, a line a trial elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from senet_nas.search.run_file import RunFile
from senet_nas.search.run_folder import TrialRecord, at_highest_rung
from senet_nas.training.progress import clock


class ConsoleProgress:
    """Trial count, best so far, failures and time left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._run: RunFile | None = None
        self._records: list[TrialRecord] = []
        self._elapsed = 0.0
        self._done_before = 0
        self._elapsed_before = 0.0

    def start(self, run: RunFile, records: list[TrialRecord]) -> None:
        """Show the bar, or say what begins."""
        self._run, self._records = run, list(records)
        self._done_before = len(records)
        self._elapsed_before = max((r.elapsed_seconds for r in records), default=0.0)
        if records:
            print(f"going on after {self._trials()} finished trials", file=sys.stderr)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("search", total=1.0, text=self.text())
            self._bar.start()
        else:
            print("starting workers", file=sys.stderr)

    def tick(self, elapsed_seconds: float) -> None:
        """Move the bar."""
        self._elapsed = elapsed_seconds
        if self._bar is not None:
            self._bar.update(self._task, completed=self._fraction(), text=self.text())

    def finished(self, record: TrialRecord) -> None:
        """Count a trial; outside of a terminal, print it."""
        assert self._run is not None
        self._records.append(record)
        self._elapsed = record.elapsed_seconds
        if self._bar is None:
            what = record.reason or _scores(record, self._objectives())
            rung = f" rung {record.rung}" if self._run.fidelity else ""
            text = f"trial {record.number}{rung}: {what} · {self.text()}"
            print(text, file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def text(self) -> str:
        """The state in one line."""
        assert self._run is not None
        total = self._run.budget.trials
        parts = [f"{self._trials()}{f'/{total}' if total else ''} trials"]
        failed = sum(record.scores is None for record in self._records)
        if failed:
            parts.append(f"{failed} failed")
        first, way = next(iter(self._objectives().items()))
        best_of = at_highest_rung(self._records)
        values = [record.scores[first] for record in best_of if record.scores]
        if values:
            best = max(values) if way == "max" else min(values)
            at = f" at rung {best_of[0].rung}" if self._run.fidelity else ""
            parts.append(f"best {first} {best:.4g}{at}")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"{clock(left)} left")
        return " · ".join(parts)

    def seconds_left(self) -> float | None:
        """By the pace of this start so far; None where nothing is known yet."""
        assert self._run is not None
        budget = self._run.budget
        guesses = []
        if budget.seconds is not None:
            guesses.append(budget.seconds - self._elapsed)
        new = self._records[self._done_before :]
        epochs = sum(record.epochs for record in new)
        total = self._run.epochs_at_most()
        passed = self._elapsed - self._elapsed_before
        if total is not None and epochs:
            left = total - sum(record.epochs for record in self._records)
            guesses.append(passed / epochs * left)
        elif total is None and self._run.budget.trials and new:
            guesses.append(passed / len(new) * (self._run.budget.trials - self._trials()))
        return max(0.0, min(guesses)) if guesses else None

    def _fraction(self) -> float:
        assert self._run is not None
        parts = [0.0]
        total = self._run.epochs_at_most()
        if total is not None:
            parts.append(sum(record.epochs for record in self._records) / total)
        elif self._run.budget.trials:
            parts.append(self._trials() / self._run.budget.trials)
        if self._run.budget.seconds is not None:
            parts.append(self._elapsed / self._run.budget.seconds)
        return min(1.0, max(parts))

    def _trials(self) -> int:
        return len({record.number for record in self._records})

    def _objectives(self) -> dict[str, Any]:
        assert self._run is not None
        return dict(self._run.objectives)


def _scores(record: TrialRecord, objectives: dict[str, Any]) -> str:
    assert record.scores is not None
    return ", ".join(f"{name} {record.scores[name]:.4g}" for name in objectives)
