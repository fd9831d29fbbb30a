"""A run as it is looked at: its folder, its space where it can still be read, its trials with the
costs that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from search_space import Blueprint, Candidate, InputError, SearchSpace
from senet_nas.cost import COSTS, cost
from senet_nas.latency import measure_latency
from senet_nas.search import RunFile, RunFolder, TrialRecord
from senet_nas.search.run_folder import at_highest_rung

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class RunView:
    """name: as the run was given. records: every finished evaluation, in order of arrival."""

    name: str
    folder: RunFolder
    records: Sequence[TrialRecord]
    objectives: Mapping[str, str]

    @classmethod
    def open(cls, name: str, folder: RunFolder) -> RunView:
        """A run that may still be going on. Raises `InputError` where it can't be read."""
        return cls(name, folder, tuple(folder.trials()), folder.objectives())

    @cached_property
    def run_file(self) -> RunFile:
        """Its definition. Raises `InputError` where its space has changed since."""
        return self.folder.run_file()

    @cached_property
    def space(self) -> SearchSpace:
        """Its space. Raises as `run_file`."""
        return self.run_file.space.open()

    @cached_property
    def fault(self) -> str | None:
        """Why its candidates can't be built any more, None where they can."""
        try:
            _ = self.space
        except InputError as error:
            return str(error)
        return None

    @cached_property
    def comparable(self) -> list[TrialRecord]:
        """The successful trials at the highest rung."""
        return at_highest_rung(self.records)

    @property
    def image_size(self) -> int:
        """Side of the images that its costs are counted for."""
        return self.run_file.evaluation.image_size

    @cached_property
    def num_classes(self) -> int:
        """Of its images: the number with which a trial costs the parameters that were recorded,
        else counted in the images themselves."""
        for record in self.comparable:
            if record.scores is not None and "params" in record.scores:
                classes = self._classes_of(record.candidate, record.scores["params"])
                if classes is not None:
                    return classes
        from senet_nas.data import load_images

        evaluation = self.run_file.evaluation
        return len(load_images(evaluation.data, "train", evaluation.image_size).classes)

    def _classes_of(self, candidate: Candidate, params: float) -> int | None:
        network, size = self.build(candidate), self.image_size
        one, two = (cost(network, size, classes).params for classes in (1, 2))
        classes, rest = divmod(params - one, two - one) if two > one else (0.0, 1.0)
        return None if rest or classes < 0 else int(classes) + 1

    def build(self, candidate: Candidate) -> Blueprint:
        """The network of a candidate."""
        built: Blueprint = self.space.build(candidate)
        return built

    def costs(self, candidate: Candidate) -> dict[str, float]:
        """params, macs, activations of a candidate."""
        counted = cost(self.build(candidate), self.image_size, self.num_classes)
        return {name: float(getattr(counted, name)) for name in ("params", "macs", "activations")}

    def with_axes(self, axes: Mapping[str, str], advance: Advance | None = None) -> RunView:
        """The run over other objectives. Costs that its trials don't have are counted, and latency
        measured on this machine, for the trials that are comparable.

        Raises `InputError` for a measured score that they don't have.
        """
        wanted = [name for name in axes if name in COSTS]
        numbers = {(r.number, r.rung) for r in self.comparable}
        records = []
        for done, record in enumerate(self.records):
            if advance is not None:
                advance(done, len(self.records))
            is_shown = (record.number, record.rung) in numbers and record.scores is not None
            records.append(self._completed(record, wanted) if is_shown else record)
        return replace(self, records=tuple(records), objectives=dict(axes))

    def _completed(self, record: TrialRecord, wanted: Sequence[str]) -> TrialRecord:
        scores: dict[str, Any] = dict(record.scores or {})
        missing = [name for name in wanted if name not in scores]
        if not missing:
            return record
        counted = self.costs(record.candidate) if set(missing) - {"latency_ms"} else {}
        scores |= {name: counted[name] for name in missing if name in counted}
        if "latency_ms" in missing:
            network = self.build(record.candidate)
            scores["latency_ms"] = measure_latency(network, self.image_size, self.num_classes)
        return replace(record, scores=scores)
