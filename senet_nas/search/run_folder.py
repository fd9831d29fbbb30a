"""The folder of a run, the truth about it: `run.toml`, `trials.jsonl`, `front.json`.

`trials.jsonl` is append-only: one line a finished evaluation, on disk before the strategy is
told. A search killed at any instant loses at most the evaluations in flight. Where candidates are
trained in rungs, `paused/` holds where those stand that may go on; where children inherit,
`weights/` those of the trials that may be parents. `launches.jsonl` says with which versions and on
which machine it was started, and each time that it went on.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search_space import Candidate, InputError, SearchSpace, structural_hash
from senet_nas.data import locked, write_atomically
from senet_nas.search.json_lines import append_line, drop_half_line, read_lines
from senet_nas.search.outcome import Outcome
from senet_nas.search.run_file import RunFile, load_run_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialRecord:
    """One line of `trials.jsonl`.

    number: of the trial, from 0; where trials are trained in rungs, each rung that one finishes
    is a line with its number. scores: None where it failed, for the `reason` given.
    train_seconds: spent on training and scoring by the worker. wall_seconds: from proposal to
    result. elapsed_seconds: of the run at that moment, pauses between resumes left out. curve:
    training loss by epoch. rung: from 0. epochs: that this evaluation trained, as epochs over the
    images in full. parent: number of the trial with whose weights it began. latency: what
    latency_ms holds for, where a table predicted it. parents: numbers of the trials that the
    strategy made it from.
    """

    number: int
    candidate: Candidate
    architecture: str
    scores: dict[str, float] | None
    reason: str | None = None
    train_seconds: float = 0.0
    wall_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    attempts: int = 1
    curve: tuple[float, ...] = field(default=())
    rung: int = 0
    epochs: float = 0.0
    parent: int | None = None
    latency: Mapping[str, Any] | None = None
    parents: tuple[int, ...] = ()

    def to_line(self) -> str:
        """The record as one line of JSON, with its newline."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of(cls, outcome: Outcome, space: SearchSpace, **more: Any) -> TrialRecord:
        """What came of a task, and what the run knows besides."""
        task = outcome.task
        candidate = outcome.found or task.candidate
        return cls(
            number=task.number,
            candidate=candidate,
            architecture=structural_hash(space.build(candidate)) if candidate else "",
            scores=outcome.scores,
            reason=outcome.reason,
            train_seconds=round(outcome.train_seconds, 3),
            wall_seconds=round(outcome.wall_seconds, 3),
            attempts=outcome.attempts,
            curve=tuple(round(loss, 4) for loss in outcome.curve),
            rung=task.rung,
            parent=None if task.parent is None else task.parent[0],
            **more,
        )

    @classmethod
    def from_line(cls, line: str) -> TrialRecord:
        """The record of a line. Raises ValueError, KeyError or TypeError where it isn't one."""
        data = json.loads(line)
        data["candidate"] = tuple(data["candidate"])
        data["curve"] = tuple(data.get("curve", ()))
        data["parents"] = tuple(data.get("parents", ()))
        return cls(**data)


@dataclass(frozen=True)
class RunFolder:
    """An existing run's folder."""

    path: Path

    @classmethod
    def create(cls, path: Path, run: RunFile) -> RunFolder:
        """A new run's folder. Raises `InputError` where the path is taken."""
        if path.exists() and not (path.is_dir() and _is_empty(path)):
            raise InputError(
                f"{path} already exists; go on with `senet-nas resume {path}` "
                "or name another folder with --out"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        folder = cls(path)
        folder.define(run)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A run's folder. Raises `InputError` where there is none."""
        if not (path / "run.toml").is_file():
            raise InputError(f"{path} is not a run's folder: it holds no run.toml")
        return cls(path)

    @property
    def trials_file(self) -> Path:
        """Where the trials are."""
        return self.path / "trials.jsonl"

    def run_file(self, sets: Sequence[str] = (), data: str | None = None) -> RunFile:
        """The run's resolved definition, with `key=value` settings over it, and other data."""
        return load_run_file(self.path / "run.toml", sets, data)

    def objectives(self) -> dict[str, str]:
        """The run's objectives. Read alone, so that its front can be shown when its space has
        changed since. Raises `InputError` where they can't be read."""
        path = self.path / "run.toml"
        try:
            return dict(tomllib.loads(path.read_text(encoding="utf-8"))["objectives"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: its objectives can't be read: {error}") from None

    def define(self, run: RunFile) -> None:
        """Write the run's definition."""
        text = run.to_toml()
        write_atomically(
            self.path / "run.toml", lambda file: file.write_text(text, encoding="utf-8")
        )

    def trials(self) -> list[TrialRecord]:
        """The finished trials in order of arrival. A line cut short at the end is left out.

        Raises `InputError` for a damaged line before the last.
        """
        return read_lines(
            self.trials_file,
            TrialRecord.from_line,
            lambda number: logger.warning(
                "%s: line %d is cut short and left out", self.trials_file, number
            ),
        )

    def drop_half_line(self) -> None:
        """Cut off what stands behind the last newline, so that lines can be appended."""
        drop_half_line(self.trials_file)

    def append(self, record: TrialRecord) -> None:
        """Add a finished trial; it is on disk when this returns."""
        append_line(self.trials_file, record.to_line())

    def lock(self) -> AbstractContextManager[None]:
        """Hold the run for this process alone; a dead process lets go by itself.

        Raises `InputError` where another process is running it.
        """
        return locked(self.path, f"{self.path}: another process is running this search")


def at_highest_rung(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The successful records that can be compared: those of the highest rung that any reached."""
    done = [record for record in records if record.scores is not None]
    highest = max((record.rung for record in done), default=0)
    return [record for record in done if record.rung == highest]


def _is_empty(folder: Path) -> bool:
    """But for hidden files: a kill while the first file is written may leave its beginning."""
    return all(entry.name.startswith(".") for entry in folder.iterdir())
