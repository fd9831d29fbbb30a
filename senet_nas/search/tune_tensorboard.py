"""What Ray Tune tells TensorBoard of its trials, kept in the run's folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ray.tune.logger.tensorboardx import TBXLoggerCallback

from senet_nas.search.run_folder import RunFolder

FOLDER = "tensorboard"


class TensorBoard(TBXLoggerCallback):  # type: ignore[misc]
    """Ray's own callback, but that each trial's numbers lie in `tensorboard/trial-NUMBER`: Tune's
    folder of an experiment is temporary. Steps are rungs, from 1; the training loss of each epoch
    is a curve of its own."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self._run = run
        self._epochs: Counter[int] = Counter()  # of each trial so far, other starts of the run too
        for record in RunFolder(run).trials():
            self._epochs[record.number] += len(record.curve)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps copies for a restore of its own; ours is `trials.jsonl`

    def log_trial_start(self, trial: Any) -> None:
        """Open the trial's file; one more where it goes on."""
        if trial in self._trial_writer:
            self._trial_writer[trial].close()
        folder = self._run / FOLDER / f"trial-{trial.config['number']}"
        self._trial_writer[trial] = self._summary_writer_cls(str(folder), flush_secs=30)
        self._trial_result[trial] = {}

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Write what a rung gave."""
        number = trial.config["number"]
        told = {key: value for key, value in result.items() if key != "curve"}
        told["training_iteration"] = trial.config["rung"] + 1
        super().log_trial_result(iteration, trial, told)
        before = self._epochs[number]
        curve = result.get("curve", ())
        for epoch, loss in enumerate(curve, start=before + 1):
            self._trial_writer[trial].add_scalar("epoch/loss", loss, epoch)
        self._epochs[number] = before + len(curve)
        self._trial_writer[trial].flush()
