"""The section of a run file that says what a trial may have of the machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from senet_nas.search.toml_file import Section


def _cpus(value: object) -> object:
    if value == "auto" or (type(value) is int and value >= 1):
        return value
    raise PydanticCustomError("cpus", "input should be a whole number of 1 or more, or 'auto'")


class ResourcesSection(Section):
    """workers: trials at a time, 0 for as many as the machine or cluster has room for. Each
    holds so many CPUs and GPUs; a fraction of a GPU lets several share one. CPUs left at "auto" are
    settled when the search starts (`settling`). tensorboard: whether Ray Tune writes each trial's
    numbers for TensorBoard, below the run's folder."""

    workers: int = Field(default=0, ge=0)
    cpus_per_trial: Annotated[int | Literal["auto"], PlainValidator(_cpus)] = "auto"
    gpus_per_trial: float = Field(default=0.0, ge=0)
    tensorboard: bool = False

    @property
    def cpus(self) -> int:
        """CPUs of a trial; one where that isn't settled."""
        return 1 if self.cpus_per_trial == "auto" else self.cpus_per_trial
