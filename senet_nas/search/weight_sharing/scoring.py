"""Scoring networks of a supernet: batch norms set anew for each, or each tuned alone for a little,
then the validation images."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from torch import nn

from search_space import Architecture, Blueprint, InputError, SearchSpace
from senet_nas.data import RGB, ImageSet
from senet_nas.data.memory import MemoryTestBatches
from senet_nas.nn import Network
from senet_nas.search.evaluation import Evaluation, Evaluator
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.weight_sharing.one_shot import split_of
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint
from senet_nas.search.weight_sharing.tuning import Tuning
from senet_nas.training import mixed_precision, resolve_precision
from senet_nas.training.evaluate import Accuracy, evaluate_on
from senet_nas.training.loop import TrainingState

BATCH = 256
SAME = 1e-6  # between the means of the same images, each channel from 0 to 1


class SupernetEvaluator(Evaluator):
    """An `Evaluator` by a supernet's weights, which stay as they are. Without tuning it trains
    nothing, and a network takes as long as two passes over its images.

    section: how many training images find the means and variances of a network's batch norms
    before it is scored (Yu and Huang 2019, arXiv 1903.05134, section 3.4), and for how long, by
    what recipe, it then learns alone from the supernet's weights. tuning: that; None for none.
    Raises `InputError` for a supernet of another space or another split of the images.
    """

    def __init__(
        self,
        settings: EvaluationSection,
        space: SearchSpace,
        checkpoint: Path,
        section: SupernetSection,
        device: str = "cpu",
        with_latency: bool = False,
    ) -> None:
        super().__init__(settings, device, with_latency)
        loaded = SupernetCheckpoint.load(checkpoint)
        check_fits(loaded, settings, space, self.classes, self.mean, str(checkpoint))
        self.mean, self.std, self.taught = loaded.mean, loaded.std, loaded.training
        self.supernet = loaded.supernet(space).to(device)
        self._dtype = resolve_precision(self.recipe.precision, torch.device(device))
        drawn = torch.Generator().manual_seed(settings.seed)
        order = torch.randperm(len(self.training), generator=drawn)[: section.images]
        part = self.training.subset(order.to(self.training.labels.device))
        self._recalibration = self._batches(part)
        self._scoring = self._batches(self.validation)
        self.tuning = self._tuned(section) if section.tune_epochs else None

    def _tuned(self, section: SupernetSection) -> Tuning:
        return Tuning(
            section.recipe_in_full(),
            self.training,
            section.tune_epochs,
            precision=self.recipe.precision,
            seed=self.settings.seed,
            mean=self.mean,
            std=self.std,
            device=self.device,
        )

    def _batches(self, images: ImageSet) -> MemoryTestBatches:
        """Of sizes that hardly differ: each counts the same towards a norm's statistics."""
        size = math.ceil(len(images) / math.ceil(len(images) / BATCH))
        device = torch.device(self.device)
        return MemoryTestBatches(images, size, self.mean, self.std, device, self._dtype)

    def at_rung(
        self, architecture: Blueprint, rung: int = 0, state: TrainingState | None = None
    ) -> tuple[Evaluation, TrainingState]:
        """The scores of a network with the supernet's weights. Raises `NonFiniteLossError` where
        its tuning diverges."""
        assert isinstance(architecture, Architecture)
        started = time.perf_counter()
        if self.tuning is not None:
            result = self.validated(self.network(architecture))
        else:
            self.supernet.choose(architecture)
            with self.supernet.own_statistics():
                self._recalibrate()
                result = self.validated(self.supernet)
        scores = {"accuracy": result.top1, "top5": result.top5, "loss": result.loss}
        scores |= self._costs(architecture)
        found = Evaluation(scores, (), time.perf_counter() - started)
        return found, TrainingState(0, {}, {})

    def network(self, architecture: Architecture) -> Network:
        """A network of its own, in evaluation mode, with a copy of the weights, tuned where that
        is asked for, and with the statistics that it is scored with."""
        self.supernet.choose(architecture)
        with self.supernet.own_statistics():
            self._recalibrate()
            network = self.supernet.chosen_network(self.settings.image_size)
        return network if self.tuning is None else self.tuning(network)

    def validated(self, network: nn.Module) -> Accuracy:
        """A network on the validation images, as it is."""
        return evaluate_on(
            network, self._scoring, device=self.device, precision=self.recipe.precision
        )

    @torch.no_grad()
    def _recalibrate(self) -> None:
        device = torch.device(self.device)
        self.supernet.train()
        with mixed_precision(self.supernet, self._dtype, device):
            for batch in self._recalibration:
                if len(batch) > 1:
                    self.supernet(batch.images)
        self.supernet.eval()


def check_fits(
    loaded: SupernetCheckpoint,
    settings: EvaluationSection,
    space: SearchSpace,
    classes: tuple[str, ...],
    mean: RGB,
    where: str,
) -> None:
    """Raise `InputError` where a supernet can't score a run's candidates honestly. classes, mean:
    of all of the run's training images."""
    loaded.check_space(space, where)
    if loaded.classes != classes:
        raise InputError(
            f"{where}: a supernet of {len(loaded.classes)} classes ({', '.join(loaded.classes[:3])}"
            f"…), and the run's images have {len(classes)} ({', '.join(classes[:3])}…)"
        )
    if loaded.image_size != settings.image_size:
        raise InputError(
            f"{where}: evaluation.image_size must be {loaded.image_size}, with which the supernet "
            f"was trained, not {settings.image_size}"
        )
    if any(abs(theirs - ours) > SAME for theirs, ours in zip(loaded.mean, mean, strict=True)):
        raise InputError(
            f"{where}: a supernet of other images than {settings.data}: it may have learned from "
            "images that would be its test"
        )
    for key, value in split_of(settings).items():
        if loaded.split.get(key) != value:
            raise InputError(
                f"{where}: evaluation.{key} must be {loaded.split.get(key)!r}, not {value!r}: the "
                "supernet has learned from images that would be its test"
            )
