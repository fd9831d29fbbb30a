"""What a strategy has to be: it proposes candidates and learns from finished trials."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from search_space.space import Candidate


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated candidate.

    number: its place in the order of arrival, from 0. scores: everything that was measured, or
    None where the evaluation failed. losses: the objectives as numbers to minimise, in their
    order; empty where it failed. rung: how far it was trained, where a search trains in rungs.
    """

    number: int
    candidate: Candidate
    scores: Mapping[str, Any] | None
    losses: tuple[float, ...]
    rung: int = 0


@dataclass(frozen=True, slots=True)
class Child:
    """A candidate that was made from others: its parents, as they were told."""

    candidate: Candidate
    parents: tuple[Candidate, ...]


class Proposer(Protocol):
    """The part of a strategy that differs between methods.

    A file `strategies/<name>.py` holds one as class `Strategy`, made from a search space, an
    `Objectives` and its settings (keyword arguments with defaults). Duplicates, limits, failed
    and pending trials are `AskTell`'s: a proposal that can't be used is asked for again.
    """

    def propose(self, rng: np.random.Generator) -> Candidate | Child:
        """A candidate drawn with `rng` alone; a `Child` where others were its parents. Changes
        nothing."""
        ...

    def learn(self, trial: Trial) -> None:
        """Takes in one trial that succeeded. The only place where state changes."""
        ...


@runtime_checkable
class Inheriting(Protocol):
    """What a strategy has besides, whose children begin with the weights of a trained parent.

    inherit_epochs: that such a child trains for.
    """

    inherit_epochs: int

    def heritable(self) -> Sequence[Trial]:
        """The trials whose weights are worth keeping."""
        ...

    def parent_of(self, candidate: Candidate, among: Container[Candidate]) -> Trial | None:
        """Whose weights a candidate is to begin with, of those that are kept; None to begin
        anew. Changes nothing."""
        ...
