"""Null models that are trained beside a search, as it trains its candidates: `nulls.jsonl`.

They stand apart from the trials, so that a search that goes on doesn't learn from them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from search_space import Candidate, InputError
from senet_nas.search import RunFolder
from senet_nas.search.json_lines import append_line, drop_half_line, read_lines


@dataclass(frozen=True)
class NullTrials:
    """The file in a run's folder, a line a network."""

    folder: RunFolder

    @property
    def file(self) -> Path:
        """Where they are."""
        return self.folder.path / "nulls.jsonl"

    def scores(self) -> dict[str, Mapping[str, float]]:
        """Scores by the architecture's hash. Raises `InputError` for a damaged line before the
        last, which a kill may have cut short."""
        found = read_lines(self.file, _read)
        return {architecture: scores for architecture, scores in found if scores is not None}

    def train(
        self,
        networks: Mapping[str, Candidate],
        advance: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        """Train and score each network as the run's trials are, one after another, in this process;
        each is on disk before the next begins. networks: candidates by the hash of what they build.

        Raises `InputError` for a run whose children inherit weights: they have trained for longer
        than any network that starts anew.
        """
        import torch

        from senet_nas.search.evaluation import Evaluator
        from senet_nas.search.starting import start_file
        from senet_nas.training import NonFiniteLossError
        from senet_nas.training.start import Start

        run = self.folder.run_file()
        if run.strategy.name == "lamarckian":
            raise InputError(
                f"{self.folder.path}: children of this run train on from their parents' weights; "
                "null models trained anew can't be compared with them"
            )
        if run.supernet is not None:
            raise InputError(
                f"{self.folder.path}: trials of this run are scored in a supernet; "
                "null models trained alone can't be compared with them"
            )
        space = run.space.open()
        torch.set_num_threads(run.resources.cpus)
        path = start_file(self.folder)
        evaluator = Evaluator(
            run.evaluation,
            "cuda" if run.resources.gpus_per_trial else "cpu",
            "latency_ms" in {*run.objectives, *run.limits},
            None if path is None else Start.load(path),
            run.fidelity.rungs if run.fidelity else (),
        )
        for done, (architecture, candidate) in enumerate(networks.items()):
            advance(done, len(networks))
            started = time.perf_counter()
            scores, reason = None, None
            try:
                scores = evaluator(space.build(candidate)).scores
            except (NonFiniteLossError, InputError) as error:
                reason = str(error)
            self._append(
                {
                    "architecture": architecture,
                    "candidate": list(candidate),
                    "scores": scores,
                    "reason": reason,
                    "train_seconds": round(time.perf_counter() - started, 3),
                }
            )
        advance(len(networks), len(networks))

    def _append(self, data: Mapping[str, object]) -> None:
        drop_half_line(self.file)
        append_line(self.file, json.dumps(data) + "\n")


def _read(line: str) -> tuple[str, Mapping[str, float] | None]:
    data = json.loads(line)
    return data["architecture"], None if data["scores"] is None else dict(data["scores"])
