"""Evaluating a candidate: train it for a short while, score it on validation images."""

from __future__ import annotations

import time
from dataclasses import dataclass

from search_space import Blueprint
from senet_nas.cost import cost, measure_latency
from senet_nas.data import ImageSet, load_images, training_subset, validation_split
from senet_nas.search.run_file import EvaluationSection
from senet_nas.training import Recipe, evaluate, load_recipe, seeded_network, train
from senet_nas.training.start import Start


@dataclass(frozen=True)
class Evaluation:
    """scores: accuracy and top5 in percent and loss, of the validation images; params, macs,
    activations; latency_ms where it was asked for. curve: training loss by epoch. seconds: taken
    by training and scoring."""

    scores: dict[str, float]
    curve: tuple[float, ...]
    seconds: float


class Evaluator:
    """Evaluates architectures on one set of images, which it decodes once.

    The split, the initial weights and the order of images follow from `settings.seed`, so two
    evaluations of an architecture agree, but for what bf16, threads and GPU kernels leave open.
    start: weights to train from, where they aren't random.
    """

    def __init__(
        self,
        settings: EvaluationSection,
        device: str = "cpu",
        with_latency: bool = False,
        start: Start | None = None,
    ) -> None:
        self.settings = settings
        self.device = device
        self.with_latency = with_latency
        self.start = start
        self.recipe: Recipe = load_recipe(settings.recipe, settings.recipe_overrides())
        images = load_images(settings.data, "train", settings.image_size)
        self.classes = images.classes
        chosen, held_out = validation_split(images.labels, settings.validation, settings.seed)
        if settings.fraction < 1:
            part = training_subset(images.labels[chosen], settings.fraction, settings.seed)
            chosen = chosen[part]
        self.mean, self.std = (start.mean, start.std) if start else (images.mean(), images.std())
        self.training: ImageSet = images.subset(chosen).to(device)
        self.validation: ImageSet = images.subset(held_out).to(device)

    def __call__(self, architecture: Blueprint) -> Evaluation:
        """Train and score. Raises `NonFiniteLossError` where training diverges."""
        started = time.perf_counter()
        size, classes = self.settings.image_size, len(self.classes)
        seed = self.settings.seed
        network = seeded_network(architecture, classes, size, seed)
        if self.start is not None:
            self.start.into(network)
        losses: list[float] = []
        train(
            network,
            self.training,
            self.recipe,
            seed=seed,
            device=self.device,
            mean=self.mean,
            std=self.std,
            on_epoch=lambda report, _: losses.append(report.loss),
        )
        result = evaluate(
            network, self.validation, mean=self.mean, std=self.std, device=self.device
        )
        costs = cost(architecture, size, classes)
        scores = {
            "accuracy": result.top1,
            "top5": result.top5,
            "loss": result.loss,
            "params": float(costs.params),
            "macs": float(costs.macs),
            "activations": float(costs.activations),
        }
        if self.with_latency:
            scores["latency_ms"] = measure_latency(architecture, size, classes, device=self.device)
        return Evaluation(scores, tuple(losses), time.perf_counter() - started)
