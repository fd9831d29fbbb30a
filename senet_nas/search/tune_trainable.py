"""What Ray Tune runs in a worker: evaluations, one a step, in an actor that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from search_space import InputError, structural_hash
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.fidelity_section import RungSection
from senet_nas.search.outcome import Task
from senet_nas.search.paused import Paused
from senet_nas.search.space_section import SpaceSection


class CandidateTrainable(tune.Trainable):  # type: ignore[misc]
    """One evaluation a step, in an actor that stays and keeps its images."""

    def setup(self, config: dict[str, Any], settings: dict[str, Any]) -> None:
        """Decode the images, once an actor."""
        import torch

        from senet_nas.search.evaluation import Evaluator
        from senet_nas.training.start import Start

        torch.set_num_threads(settings["cpus"])
        self._space = SpaceSection(**settings["space"]).open()
        evaluation = EvaluationSection(**settings["evaluation"])
        device = "cuda" if settings["gpus"] else "cpu"
        if 0 < settings["gpus"] < 1:
            torch.cuda.set_per_process_memory_fraction(settings["gpus"])
        start = None if settings["start"] is None else Start.load(Path(settings["start"]))
        rungs = [RungSection(**rung) for rung in settings["rungs"]]
        supernet = settings["supernet"]
        if supernet is None:
            self._evaluator = Evaluator(evaluation, device, settings["latency"], start, rungs)
        else:
            from senet_nas.search.supernet_section import SupernetSection
            from senet_nas.search.weight_sharing.scoring import SupernetEvaluator

            self._evaluator = SupernetEvaluator(
                evaluation,
                self._space,
                Path(supernet),
                SupernetSection(**settings["section"]),
                device,
                settings["latency"],
            )
        self._states = Paused(Path(settings["states"]))
        self._inherit_epochs = settings["inherit_epochs"]
        self.reset_config(config)

    def reset_config(self, config: dict[str, Any]) -> bool:
        """Take the next task. True: the actor can be reused."""
        given = config["parent"]
        parent = None if given is None else (given[0], tuple(given[1]))
        self._task = Task(config["number"], tuple(config["candidate"]), config["rung"], parent)
        return True

    def step(self) -> dict[str, Any]:
        """Train and score the candidate. A loss that isn't finite, or a network that can't be
        built, is a result: it would not pass. Other faults are raised, for Tune to try once more
        in a new worker."""
        from senet_nas.training import NonFiniteLossError

        try:
            return self._evaluate(self._task)
        except (NonFiniteLossError, InputError) as error:
            return {"reason": str(error), "done": True}

    def _evaluate(self, task: Task) -> dict[str, Any]:
        """Where the trial stands is on disk before its result is known, where it may go on or be
        a parent."""
        architecture = self._space.build(task.candidate)
        identity = structural_hash(architecture)
        is_last = task.rung == len(self._evaluator.rungs) - 1
        if task.parent is not None:
            number, candidate = task.parent
            parent = self._space.build(candidate)
            weights = self._states.load(number, 0, structural_hash(parent)).weights
            evaluation, state = self._evaluator.from_parent(
                architecture, parent, weights, self._inherit_epochs
            )
        else:
            below = task.rung - 1
            before = self._states.load(task.number, below, identity) if task.rung else None
            evaluation, state = self._evaluator.at_rung(architecture, task.rung, before)
        if self._inherit_epochs is not None:
            self._states.save(task.number, 0, identity, replace(state, momentum={}))
        elif not is_last:
            self._states.save(task.number, task.rung, identity, state)
        return {
            "scores": evaluation.scores,
            "curve": evaluation.curve,
            "train_seconds": evaluation.seconds,
            "done": is_last,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial is one step, or stands in the run's folder."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial that is tried again starts its step anew."""
