"""What a run leaves to the machine that it starts on, settled once and kept in its folder: the
precision, and how many CPUs a trial has."""

from __future__ import annotations

import logging
import statistics
import sys
from typing import Literal

import torch

from search_space import Blueprint
from search_space.errors import RunError
from senet_nas.cost import cost
from senet_nas.data import load_images
from senet_nas.search.estimate import SAMPLED, at_rate
from senet_nas.search.preparation import build_strategy
from senet_nas.search.resources import cpus_here
from senet_nas.search.run_file import RunFile
from senet_nas.search.split import Training, best_split, measured_splits, possible_splits
from senet_nas.training import load_recipe, resolve_precision
from senet_nas.training.ray_cluster import cluster_address

logger = logging.getLogger(__name__)

SHORT_SECONDS = 300.0  # a search of less has its cores split without measuring
MACS_A_SECOND = 20e9  # of a core in small networks; an image's are three times those forwards


def settled(run: RunFile, num_classes: int) -> RunFile:
    """The run with nothing left to the machine, but what a cluster's machines must say.

    Where the CPUs of a trial are open and the search is to take minutes on this machine's CPUs,
    the split is measured, which takes some 20 seconds, and said in a line on stderr. Else they
    are one.
    """
    if cluster_address() is not None:
        return run.settled("auto", 1, "auto")
    device = torch.device("cuda" if run.resources.gpus_per_trial else "cpu")
    is_bf16 = resolve_precision("auto", device) == torch.bfloat16
    precision: Literal["bf16", "fp32"] = "bf16" if is_bf16 else "fp32"
    run = run.settled(precision, run.resources.cpus_per_trial, precision)
    if run.resources.cpus_per_trial != "auto":
        return run
    return run.settled(precision, _cpus(run, num_classes), precision)


def _cpus(run: RunFile, num_classes: int) -> int:
    """CPUs of a trial, by measuring where that is worth its time."""
    splits = possible_splits(cpus_here(), run.resources.workers)
    if run.resources.gpus_per_trial or run.supernet is not None or len(splits) < 2:
        return 1
    network, macs = _typical_network(run, num_classes)
    if _reckoned_seconds(run, macs) < SHORT_SECONDS:
        return 1
    recipe = load_recipe(run.evaluation.recipe, run.evaluation.recipe_overrides())
    training = Training(
        network.to_json(),
        run.evaluation.image_size,
        num_classes,
        recipe.batch_size,
        recipe.precision,
    )
    print("measuring how to split the CPUs among trials", file=sys.stderr, flush=True)
    try:
        best, line = best_split(measured_splits(training, splits))
    except RunError as error:
        logger.warning("%s; trials have one CPU each", error)
        return 1
    print(line, file=sys.stderr, flush=True)
    return best.cpus


def _typical_network(run: RunFile, num_classes: int) -> tuple[Blueprint, int]:
    """The middle one by MACs of the first few candidates, and its MACs."""
    space = run.space.open()
    strategy = build_strategy(run, space, num_classes)
    asked = [candidate for _ in range(SAMPLED) if (candidate := strategy.ask()) is not None]
    networks = [space.build(candidate) for candidate in asked]
    size = run.evaluation.image_size
    macs = [cost(network, size, num_classes).macs for network in networks]
    middle = statistics.median_low(macs)
    return networks[macs.index(middle)], middle


def _reckoned_seconds(run: RunFile, macs: int) -> float:
    """What the whole run takes with a CPU for each trial, by a typical network's MACs."""
    images = len(load_images(run.evaluation.data, "train", run.evaluation.image_size))
    validation = round(run.evaluation.validation * images)
    training = round(run.evaluation.fraction * (images - validation))
    workers = run.resources.workers or cpus_here()
    return at_rate(run, training, validation, MACS_A_SECOND / (3 * macs), workers).total_seconds
