"""All that can be wrong with a supernet's run before anything is trained or written."""

from __future__ import annotations

from pathlib import Path

import torch

from search_space import InputError
from search_space.coverage import coverage
from senet_nas.data import draw, load_images
from senet_nas.search.known_costs import KnownCosts
from senet_nas.search.resources import cpus_here
from senet_nas.search.run_file import RunFile
from senet_nas.search.weight_sharing.deriving import check_target
from senet_nas.search.weight_sharing.expected_cost import ExpectedCost
from senet_nas.search.weight_sharing.scoring import check_fits
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint
from senet_nas.training.ray_cluster import cluster_address


def check_supernet(run: RunFile, classes: tuple[str, ...]) -> None:
    """Raise `InputError` for a space that has no supernet, a checkpoint of another space or other
    images, and targets that no network reaches."""
    section = run.supernet
    assert section is not None
    space = run.space.open()
    coverage(space)
    size = run.evaluation.image_size
    draw(section.recipe_in_full().augmentation, 1, size, size, torch.Generator())
    if section.checkpoint is not None:
        loaded = SupernetCheckpoint.load(Path(section.checkpoint))
        mean = load_images(run.evaluation.data, "train", size).mean()
        check_fits(loaded, run.evaluation, space, classes, mean, section.checkpoint)
        loaded.check_weights(space, section.checkpoint)
    if section.targets:
        axis, known = section.axis, KnownCosts.of_run(run.evaluation, len(classes))
        of = known.of(axis)
        for target in section.targets:
            check_target(space, lambda candidate: of(space.build(candidate)), target, axis)
        ExpectedCost(space, axis, known)


def check_training_room(run: RunFile) -> None:
    """Raise `InputError` where this machine hasn't the room for the processes that train a run's
    supernet together. What a cluster has is known only when the run is connected to it."""
    section, gpus = run.supernet, run.resources.gpus_per_trial
    if section is None or section.workers == 1 or cluster_address() is not None:
        return
    for kind, each, there in (("CPU", 1, cpus_here()), ("GPU", gpus, torch.cuda.device_count())):
        if section.workers * each > there:
            raise InputError(
                f"supernet.workers: {section.workers} need {section.workers * each:g} {kind}s, and "
                f"there are {there}"
            )
