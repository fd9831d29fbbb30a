"""What Ray Tune runs in a worker where trials are differentiable searches: one a step."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search_space.errors import RunError
from senet_nas.search.outcome import Task
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.tune_trainable import CandidateTrainable


class RelaxedTrainable(CandidateTrainable):
    """A search, then the training of what it found."""

    def setup(self, config: dict[str, Any], settings: dict[str, Any]) -> None:
        """Decode the images, once an actor."""
        super().setup(config, settings)
        self._section = SupernetSection(**settings["section"])
        self._folder = Path(settings["relaxed"])
        self._label = settings["label"]

    def _evaluate(self, task: Task) -> dict[str, Any]:
        from senet_nas.data import write_atomically
        from senet_nas.search.weight_sharing.differentiable import DifferentiableSearch
        from senet_nas.search.weight_sharing.sweep import history_file, state_file, supernet_file

        started = time.perf_counter()
        target, seed = self._section.tasks()[task.number]
        state = state_file(self._folder, task.number)
        search = DifferentiableSearch(
            self._space, self._evaluator, self._section, target, seed, state
        )
        history = history_file(self._folder, task.number)

        def write(told: dict[str, Any]) -> None:
            text = json.dumps({"target": target, "seed": seed, **told}, indent=1) + "\n"
            write_atomically(history, lambda file: file.write_text(text, "utf-8"))

        try:
            found = search.run(lambda _: write({"epochs": search.epochs}))
        except RunError as error:
            return {"reason": str(error), "done": True}
        seconds = search.seconds_before + time.perf_counter() - started
        search.checkpoint(self._label, seconds).save(supernet_file(self._folder, task.number))
        write(asdict(found))
        evaluation = self._evaluator(self._space.build(found.candidate))
        state.unlink(missing_ok=True)
        return {
            "scores": evaluation.scores,
            "curve": evaluation.curve,
            "train_seconds": seconds + evaluation.seconds,
            "found": list(found.candidate),
            "done": True,
        }
