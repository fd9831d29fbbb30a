"""Successive halving in a run: who goes on, and whose state is kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from senet_nas.search.fidelity_section import FidelitySection
from senet_nas.search.paused import Paused
from senet_nas.search.run_folder import TrialRecord
from strategies import Objectives
from strategies.core.halving import Rungs


class Halving:
    """Enters what is recorded; says what is promoted. A trial whose state is gone isn't."""

    def __init__(
        self,
        fidelity: FidelitySection,
        objectives: Mapping[str, str],
        states: Paused,
        records: Sequence[TrialRecord],
    ) -> None:
        self._objectives = Objectives(objectives)
        self._rungs = Rungs(len(fidelity.rungs), fidelity.reduction, fidelity.waiting)
        self._states = states
        for record in records:
            self._enter(record)
        for trial, rung in self._rungs.paused.items():
            if not states.holds(trial, rung):
                self._rungs.give_up(trial)
        states.sweep(self._rungs.paused)

    def enter(self, record: TrialRecord) -> None:
        """Take in what was just recorded, and delete the states that nobody will need."""
        before = {**self._rungs.paused, record.number: record.rung}
        self._enter(record)
        if record.rung:
            self._states.drop(record.number, record.rung - 1)
        for trial in before.keys() - self._rungs.paused.keys():
            self._states.drop(trial, before[trial])

    def next(self) -> tuple[int, int] | None:
        """The trial that goes on, and the rung to take it to; None where none does."""
        return self._rungs.next()

    def promote(self, trial: int) -> None:
        """It goes on now; its state stays until the next one is recorded."""
        self._rungs.promote(trial)

    def _enter(self, record: TrialRecord) -> None:
        losses = () if record.scores is None else self._objectives.losses(record.scores)
        self._rungs.enter(record.number, record.rung, losses)
