"""What passes between a search and whatever runs its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search_space import Candidate


@dataclass(frozen=True)
class Task:
    """One evaluation that is due: of a new trial, or of one that goes on to a higher rung.

    number: of the trial. rung: how far to train it, 0 where training has no rungs. parent: number
    and candidate of the trial with whose weights it begins, None for random ones.
    """

    number: int
    candidate: Candidate
    rung: int = 0
    parent: tuple[int, Candidate] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a task. scores: None where it failed, for the `reason`.
    found: the candidate, where the task was to find one."""

    task: Task
    scores: dict[str, float] | None
    reason: str | None
    train_seconds: float
    wall_seconds: float
    attempts: int
    curve: tuple[float, ...]
    found: Candidate | None = None


@dataclass(frozen=True)
class Trials:
    """What a run asks of the outside.

    next_task: the next evaluation, None to wait, or `StopIteration` when there will be no more.
    record: takes each outcome, before the next is asked for. tick: called often.
    """

    next_task: Callable[[], Task | None]
    record: Callable[[Outcome], None]
    tick: Callable[[], None]
