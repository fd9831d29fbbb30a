"""Evaluating a candidate: train it for a short while, score it on validation images."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from search_space import Blueprint
from senet_nas.data import ImageSet, load_images, resized, training_subset, validation_split
from senet_nas.latency import Timing, measure_latency
from senet_nas.nn.inherit import inherit
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.fidelity_section import RungSection
from senet_nas.search.known_costs import LATENCY, KnownCosts
from senet_nas.training import EpochReport, Recipe, evaluate, load_recipe, seeded_network, train
from senet_nas.training.loop import TrainingState
from senet_nas.training.start import Start


@dataclass(frozen=True)
class Evaluation:
    """scores: accuracy and top5 in percent and loss, of the validation images; params, macs,
    activations; latency_ms where it was asked for, or is known by a table. curve: training loss by
    epoch. seconds: taken by training and scoring."""

    scores: dict[str, float]
    curve: tuple[float, ...]
    seconds: float


class Evaluator:
    """Evaluates architectures on one set of images, which it decodes once.

    The split, the initial weights and the order of images follow from `settings.seed`, so two
    evaluations of an architecture agree, but for what bf16, threads and GPU kernels leave open.
    start: weights to train from, where they aren't random. rungs: how far training goes at a
    time, each from where the one below it stopped; one, in full, where there are none.
    """

    def __init__(
        self,
        settings: EvaluationSection,
        device: str = "cpu",
        with_latency: bool = False,
        start: Start | None = None,
        rungs: Sequence[RungSection] = (),
    ) -> None:
        self.settings = settings
        self.device = device
        self.with_latency = with_latency
        self.start = start
        self.recipe: Recipe = load_recipe(settings.recipe, settings.recipe_overrides())
        self.rungs = rungs or (RungSection(epochs=self.recipe.epochs),)
        images = load_images(settings.data, "train", settings.image_size)
        self.classes = images.classes
        self.known = KnownCosts.of_run(settings, len(images.classes))
        chosen, held_out = validation_split(images.labels, settings.validation, settings.seed)
        if settings.fraction < 1:
            part = training_subset(images.labels[chosen], settings.fraction, settings.seed)
            chosen = chosen[part]
        self.mean, self.std = (start.mean, start.std) if start else (images.mean(), images.std())
        self.training: ImageSet = images.subset(chosen).to(device)
        self.validation: ImageSet = images.subset(held_out).to(device)
        self._sets = [self._images(rung) for rung in self.rungs]

    def __call__(self, architecture: Blueprint) -> Evaluation:
        """Train in full and score. Raises `NonFiniteLossError` where training diverges."""
        state = None
        for rung in range(len(self.rungs)):
            evaluation, state = self.at_rung(architecture, rung, state)
        return evaluation

    def at_rung(
        self, architecture: Blueprint, rung: int, state: TrainingState | None = None
    ) -> tuple[Evaluation, TrainingState]:
        """Train to a rung's end and score; also where training stands there.

        state: what the rung below gave. The learning rate is that of a training in full at each
        epoch: a candidate taken to the last rung is trained as one that was never paused, where
        the rungs differ in epochs alone. Costs are those at the evaluation's image size.
        """
        started = time.perf_counter()
        settings, here = self.settings, self.rungs[rung]
        network = seeded_network(
            architecture, len(self.classes), settings.image_size, settings.seed
        )
        if self.start is not None and state is None:
            self.start.into(network)
        state, losses = self._train(network, self.recipe, rung, state, here.epochs)
        return self._scored(architecture, network, rung, losses, started), state

    def from_parent(
        self,
        architecture: Blueprint,
        parent: Blueprint,
        weights: Mapping[str, Tensor],
        epochs: int,
    ) -> tuple[Evaluation, TrainingState]:
        """Train a child for so many epochs from its parent's weights (`inherit`), and score it;
        also where training stands. The recipe's schedule is run through in these epochs."""
        started = time.perf_counter()
        settings = self.settings
        network = seeded_network(
            architecture, len(self.classes), settings.image_size, settings.seed
        )
        inherit(network, parent, weights)
        changed = {**settings.recipe_overrides(), "epochs": epochs}
        recipe = load_recipe(settings.recipe, changed)
        state, losses = self._train(network, recipe, len(self.rungs) - 1, None, epochs)
        return self._scored(architecture, network, len(self.rungs) - 1, losses, started), state

    def _train(
        self,
        network: nn.Module,
        recipe: Recipe,
        rung: int,
        state: TrainingState | None,
        until: int,
    ) -> tuple[TrainingState, list[float]]:
        losses: list[float] = []

        def after_epoch(report: EpochReport, reached: TrainingState) -> bool:
            losses.append(report.loss)
            return reached.epoch >= until

        reached = train(
            network,
            self._sets[rung][0],
            recipe,
            seed=self.settings.seed,
            device=self.device,
            mean=self.mean,
            std=self.std,
            state=state,
            on_epoch=after_epoch,
        )
        return reached, losses

    def _scored(
        self,
        architecture: Blueprint,
        network: nn.Module,
        rung: int,
        losses: Sequence[float],
        started: float,
    ) -> Evaluation:
        validation = self._sets[rung][1]
        result = evaluate(network, validation, mean=self.mean, std=self.std, device=self.device)
        scores = {"accuracy": result.top1, "top5": result.top5, "loss": result.loss}
        scores |= self._costs(architecture)
        return Evaluation(scores, tuple(losses), time.perf_counter() - started)

    def _costs(self, architecture: Blueprint) -> dict[str, float]:
        costs = self.known.all(architecture)
        if self.with_latency and LATENCY not in costs:
            size, classes = self.settings.image_size, len(self.classes)
            costs[LATENCY] = measure_latency(
                architecture, size, classes, Timing(device=self.device)
            )
        return costs

    def _images(self, rung: RungSection) -> tuple[ImageSet, ImageSet]:
        """What a rung trains on and is scored by: smaller versions, and a part for training."""
        size = rung.image_size or self.settings.image_size
        share = (rung.fraction or self.settings.fraction) / self.settings.fraction
        training = self.training
        if share < 1:
            part = training_subset(training.labels, share, self.settings.seed)
            training = training.subset(part)
        return resized(training, size), resized(self.validation, size)
