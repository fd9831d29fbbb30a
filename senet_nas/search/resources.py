"""How many trials a machine or cluster has room for."""

from __future__ import annotations

import os

import torch

from search_space import InputError
from senet_nas.search.resources_section import ResourcesSection
from senet_nas.training.ray_cluster import check_cluster, cluster_address


def workers(resources: ResourcesSection, cpus: float, gpus: float) -> int:
    """Trials at a time: as many as are asked for, or as there is room for.

    A trial's part of a GPU lies on one GPU. Raises `InputError` where there isn't room.
    """
    room = int(cpus // resources.cpus)
    share = resources.gpus_per_trial
    if 0 < share < 1:
        room = min(room, int(gpus) * int(1 / share + 1e-9))
    elif share:
        room = min(room, int(gpus / share))
    wanted = resources.workers or room
    if room < max(1, wanted):
        raise InputError(
            f"resources: {max(1, wanted)} workers of {resources.cpus} CPUs and "
            f"{share:g} GPUs don't fit: there are {cpus:g} CPUs and {gpus:g} GPUs "
            "(set resources.workers, resources.cpus_per_trial or resources.gpus_per_trial)"
        )
    return wanted


def cpus_here() -> int:
    """CPUs of this machine that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def workers_here(resources: ResourcesSection) -> int:
    """Trials at a time on this machine."""
    return workers(resources, float(cpus_here()), float(torch.cuda.device_count()))


def check_resources(resources: ResourcesSection) -> None:
    """Raise the `InputError` that a run would. What a cluster has is known only when the run is
    connected to it."""
    if cluster_address() is None:
        workers_here(resources)
    else:
        check_cluster()
