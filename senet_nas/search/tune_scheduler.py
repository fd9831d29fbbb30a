"""A scheduler for Ray Tune that pauses every trial at every rung, and promotes the best of several
objectives.

Tune's own successive halving ranks by one metric. Which trial goes on is for the run to say
(`senet_nas.search.halving`): it depends on what other starts of the run have recorded, too.
"""

from __future__ import annotations

from typing import Any, Protocol

from ray.tune.schedulers import FIFOScheduler, TrialScheduler


class Adapter(Protocol):
    """What the scheduler asks of the searcher."""

    def promoted(self) -> Any:
        """A paused trial that is to run now, or None; each is given once."""

    def let_go(self) -> list[Any]:
        """The paused trials that will never run again; each is given once."""


class RungScheduler(FIFOScheduler):  # type: ignore[misc]
    """Pauses and promotes. A paused trial holds no worker and no memory: its state is on disk."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self._adapter = adapter

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A rung is finished that is not the last: its result says `done` and doesn't come here."""
        tune_controller.pause_trial(trial, should_checkpoint=False)
        return str(TrialScheduler.NOOP)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """A promoted trial; new ones are started by Tune itself. At the end the paused are let go:
        Tune waits for all."""
        for trial in self._adapter.let_go():
            tune_controller.stop_trial(trial)
        return self._adapter.promoted()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps copies for a restore of its own; ours is `trials.jsonl`
