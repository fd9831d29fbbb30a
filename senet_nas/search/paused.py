"""Where trials stand: weights and momentum of each in a file of the run's folder.

A worker writes a state before its result is recorded, so that no recorded trial lacks one; what
is written of evaluations that a kill cut off is swept away when the run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from search_space import InputError
from senet_nas.training.loop import TrainingState
from senet_nas.training.run_state import read_state, write_state

FOLDER = "paused"
WEIGHTS_FOLDER = "weights"  # of parents


@dataclass(frozen=True)
class Paused:
    """folder: made when the first state is written. It must be the same for every worker."""

    folder: Path

    def save(self, trial: int, rung: int, architecture: str, state: TrainingState) -> None:
        """Write where a trial stands at the end of a rung. architecture: its structural hash."""
        self.folder.mkdir(exist_ok=True)
        about = {"rung": rung, "architecture": architecture}
        write_state(self._file(trial, rung), state, about)

    def load(self, trial: int, rung: int, architecture: str) -> TrainingState:
        """What `save` wrote. Raises `InputError` where it is missing, damaged or another's."""
        path = self._file(trial, rung)
        state, about = read_state(path)
        if (about.get("rung"), about.get("architecture")) != (rung, architecture):
            raise InputError(f"{path}: the state of another trial")
        return state

    def holds(self, trial: int, rung: int) -> bool:
        """Whether there is a state of this trial at the end of this rung."""
        return self._file(trial, rung).is_file()

    def sweep(self, keep: Mapping[int, int]) -> None:
        """Delete all but the states of these trials at these rungs."""
        kept = {self._file(trial, rung).name for trial, rung in keep.items()}
        for file in self.folder.iterdir() if self.folder.is_dir() else ():
            if file.name not in kept:
                file.unlink(missing_ok=True)

    def drop(self, trial: int, rung: int) -> None:
        """Delete one state, where there is one."""
        self._file(trial, rung).unlink(missing_ok=True)

    def _file(self, trial: int, rung: int) -> Path:
        return self.folder / f"{trial}-{rung}.safetensors"
