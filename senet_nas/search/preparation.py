"""Before a search starts: its strategy, its known costs, and everything that can be wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch

from search_space import Candidate, InputError, SearchSpace
from senet_nas.cost import cost
from senet_nas.data import draw, load_images
from senet_nas.latency import measure_latency
from senet_nas.search.known_costs import LATENCY, KnownCosts
from senet_nas.search.resources import check_resources
from senet_nas.search.run_file import RunFile, over_base
from senet_nas.search.tabled_latency import check_table
from senet_nas.training import load_recipe
from strategies import AskTell, make_strategy

logger = logging.getLogger(__name__)


def build_strategy(run: RunFile, space: SearchSpace, num_classes: int) -> AskTell:
    """The run's strategy, which knows the costs that need no training."""
    known = known_costs(run, space, num_classes)
    chooser = None if run.filter is None else run.filter.chooser(run, space, known)
    return make_strategy(
        run.strategy.name,
        space,
        objectives=run.objectives,
        seed=run.strategy.seed,
        known=known,
        limits=absolute_limits(run, space, num_classes),
        first=null_models(space) if run.space.has_base else (),
        rungs=run.rungs,
        draws=1 if chooser is None else chooser.draws,
        prefer=chooser,
        **run.strategy.settings(),
    )


def null_models(space: SearchSpace) -> tuple[Candidate, ...]:
    """SE nowhere, and everywhere with each place's first value: what a front is to be held
    against. For spaces of places alone, whose first option is no SE."""
    everywhere = {decision.name: decision.options[1] for decision in space.decisions}
    return space.candidate({}), space.candidate(everywhere)


def absolute_limits(run: RunFile, space: SearchSpace, num_classes: int) -> dict[str, float]:
    """The run's limits as numbers: `"+5%"` and `"+200e3"` are over the network without SE."""
    costs = KnownCosts.of_run(run.evaluation, num_classes)
    limits: dict[str, float] = {}
    for name, limit in run.limits.items():
        if isinstance(limit, str):
            if name not in costs.names:
                raise InputError(
                    "limits.latency_ms must be a number of milliseconds, or have an "
                    "evaluation.latency_table"
                )
            base = costs.of(name)(space.build(space.candidate({})))
            limits[name] = over_base(name, limit, base)
        else:
            limits[name] = limit
    return limits


def known_costs(
    run: RunFile, space: SearchSpace, num_classes: int
) -> Mapping[str, Callable[[Candidate], float]]:
    """For each cost that the run limits or optimises, a function of the candidate. Latency that
    no table predicts is known beforehand only where it is limited."""
    size, costs = run.evaluation.image_size, KnownCosts.of_run(run.evaluation, num_classes)

    def known(name: str) -> Callable[[Candidate], float]:
        of = costs.of(name)
        return lambda c: of(space.build(c))

    found = {name: known(name) for name in run.known_costs if name in costs.names}
    if LATENCY in run.limits and LATENCY not in found:
        found[LATENCY] = lambda c: measure_latency(space.build(c), size, num_classes)
    return found


def preflight(run: RunFile) -> tuple[str, ...]:
    """Everything that can be wrong with a run before hours are spent; its classes.

    Raises `InputError` for the data, the strategy, limits that no network meets, images too small
    for the network or the augmentation, and resources that aren't there.
    """
    size = run.evaluation.image_size
    images = load_images(run.evaluation.data, "train", size)
    num_classes = len(images.classes)
    if num_classes < 2:
        raise InputError(f"{run.evaluation.data}: one class alone, {images.classes[0]!r}")
    space = run.space.open()
    check_table(run, space, num_classes)
    if build_strategy(run, space, num_classes).ask() is None:
        raise InputError(f"limits: no network of {run.space.label()!r} was found within them")
    # Raises where the images are too small; other networks of a space may have other strides.
    drawn = space.build(space.sample(np.random.default_rng(0)))
    recipe = load_recipe(run.evaluation.recipe, run.evaluation.recipe_overrides())
    rungs = run.fidelity.rungs if run.fidelity else ()
    for side in {size, *(rung.image_size or size for rung in rungs)}:
        cost(drawn, side)
        draw(recipe.augmentation, 1, side, side, torch.Generator())
    is_measured = run.evaluation.latency_table is None
    if LATENCY in run.limits and is_measured and run.resources.gpus_per_trial:
        raise InputError(
            "limits.latency_ms is measured on the CPU, and can't go with GPU workers; give an "
            "evaluation.latency_table"
        )
    if torch.cuda.is_available() and not run.resources.gpus_per_trial:
        logger.warning("a GPU is there, but unused: resources.gpus_per_trial is 0")
    check_resources(run.resources)
    if run.supernet is not None:
        from senet_nas.search.weight_sharing.checks import check_supernet

        check_supernet(run, images.classes)
    return images.classes
