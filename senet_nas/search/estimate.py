"""How long a run will take, measured on a few of its candidates before hours are spent."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from search_space import Blueprint
from senet_nas.data import ImageSet
from senet_nas.search.evaluation import Evaluator
from senet_nas.search.preparation import build_strategy, preflight
from senet_nas.search.resources import workers_here
from senet_nas.search.run_file import RunFile
from senet_nas.search.tabled_latency import in_words
from senet_nas.training import Recipe, seeded_network, train
from senet_nas.training.device import cpu_threads

SAMPLED = 3
IMAGES = 512
SCORING_SHARE = 1 / 3  # of a training image's time, for one that is only scored


@dataclass(frozen=True)
class Estimate:
    """trial_seconds: the median candidate's, with its worker alone on the machine; of rungs, by
    how many trials reach each. workers: at a time on this machine. trials: by the budget.
    total_seconds: of the whole run. supernet_seconds, trust_seconds: of a one-shot run, of training
    the supernet and of what its scores are held against. latency_table: what its predictions hold
    for."""

    training_images: int
    validation_images: int
    trial_seconds: float
    workers: int
    trials: int
    total_seconds: float
    supernet_seconds: float | None = None
    trust_seconds: float | None = None
    latency_table: str | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON, without what isn't of this run."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def estimate(run: RunFile) -> Estimate:
    """Train the first three candidates on a few images, and reckon from their speed.

    Raises `InputError` as the run itself would.
    """
    preflight(run)
    workers = workers_here(run.resources)
    with cpu_threads(run.resources.cpus):  # but all train a supernet, below
        evaluator = Evaluator(run.evaluation, "cuda" if run.resources.gpus_per_trial else "cpu")
        space = run.space.open()
        strategy = build_strategy(run, space, len(evaluator.classes))
        asked = [candidate for _ in range(SAMPLED) if (candidate := strategy.ask()) is not None]
        rate = statistics.median(
            images_per_second(
                space.build(c), evaluator.training, evaluator.recipe, device=evaluator.device
            )
            for c in asked
        )
    found = at_rate(run, len(evaluator.training), len(evaluator.validation), rate, workers)
    table = evaluator.known.table
    return found if table is None else replace(found, latency_table=in_words(table))


def at_rate(run: RunFile, training: int, validation: int, rate: float, workers: int) -> Estimate:
    """The estimate for so many images to train on and to score by. rate: images a second of
    training a candidate alone."""
    if run.supernet is not None:
        return _of_supernet(run, training, validation, rate, workers)
    space = run.space.open()
    epochs = run.epochs_a_trial()
    seconds = (epochs * training + SCORING_SHARE * validation) / rate
    trials = min(run.budget.trials or space.size(), space.size())
    if run.budget.epochs is not None:
        trials = min(trials, math.ceil(run.budget.epochs / epochs))
    if run.budget.seconds is not None:
        trials = min(trials, math.ceil(run.budget.seconds * workers / seconds))
    total = seconds * trials / workers
    return Estimate(training, validation, round(seconds, 2), workers, trials, round(total, 1))


def _of_supernet(
    run: RunFile, training: int, validation: int, rate: float, workers: int
) -> Estimate:
    from senet_nas.search.weight_sharing.estimate import search_seconds, training_seconds

    section, epochs = run.supernet, run.epochs_in_full()
    assert section is not None
    wanted = section.trust
    tuned = section.tune_epochs * training
    scoring = (tuned + SCORING_SHARE * (section.images + validation)) / rate

    def alone(epochs: float) -> float:
        return (epochs * training + SCORING_SHARE * validation) / rate

    if section.is_differentiable:
        supernet, shared = search_seconds(run), 0.0
        seconds, most = supernet + alone(epochs), len(section.tasks())
    else:
        supernet = shared = training_seconds(run)
        seconds, most = scoring, run.space.open().size()
    trials = min(run.budget.trials or most, most)
    if run.budget.seconds is not None:
        left = max(0.0, run.budget.seconds - shared)
        trials = min(trials, math.ceil(left * workers / seconds))
    trust = 0.0
    if wanted.candidates:
        each = alone(wanted.epochs or epochs)
        finalists = min(wanted.finalists, trials) * each
        searched = shared * workers + trials * seconds + finalists
        ranked = wanted.candidates + wanted.se
        untaught = alone(section.tune_epochs) if section.tune_epochs else 0.0
        trust = (
            ranked * (each + scoring + untaught) + finalists + wanted.seeds * searched
        ) / workers
    total = shared + seconds * max(1.0, trials / workers) + trust
    return Estimate(
        training,
        validation,
        round(seconds, 2),
        workers,
        trials,
        round(total, 1),
        round(supernet, 1),
        round(trust, 1),
    )


def images_per_second(
    architecture: Blueprint, images: ImageSet, recipe: Recipe, *, device: str = "cpu"
) -> float:
    """Of training by the recipe, in the second of two short epochs."""
    few = images.subset(torch.arange(min(IMAGES, len(images))))
    network = seeded_network(architecture, len(images.classes), images.image_size, 0)
    rates: list[float] = []
    train(
        network,
        few,
        replace(recipe, epochs=2, warmup_epochs=0.0),
        seed=0,
        device=device,
        on_epoch=lambda report, _: rates.append(report.images_per_second),
    )
    return rates[-1]
