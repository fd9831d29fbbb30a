"""What passes between a search and whatever runs its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search_space import Candidate

Asked = tuple[int, Candidate]


@dataclass(frozen=True)
class Outcome:
    """What came of a trial. scores: None where it failed, for the `reason`."""

    number: int
    candidate: Candidate
    scores: dict[str, float] | None
    reason: str | None
    train_seconds: float
    wall_seconds: float
    attempts: int
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Trials:
    """What a run asks of the outside.

    ask: the next trial's number and candidate, None to wait, or `StopIteration` when there will
    be no more. record: takes each outcome, before the next is asked for. tick: called often.
    """

    ask: Callable[[], Asked | None]
    record: Callable[[Outcome], None]
    tick: Callable[[], None]
