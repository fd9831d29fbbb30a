"""What a seed fixes: initial weights, and what is drawn in training (dropout, mixing).

The order of images and their augmentation are the data's own (`senet_nas.data.order`). Each epoch
draws from generators seeded by (seed, epoch), whose states are kept with a state within an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from search_space import Blueprint, checks
from senet_nas.data.order import epoch_seed
from senet_nas.nn import build_network


def seeded_network(
    architecture: Blueprint, num_classes: int, image_size: int, seed: int
) -> nn.Module:
    """A network whose initial weights depend on `seed` alone; torch's global generator stays as
    it was. Raises what `build_network` raises, and `InputError` for a seed out of range."""
    checks.seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(architecture, num_classes, image_size)


@contextmanager
def forked_rng(device: torch.device) -> Iterator[None]:
    """Inside, torch's global generators (dropout draws from them) may be seeded at will."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def seed_epoch(seed: int, epoch: int, rank: int = 0) -> None:
    """Seed torch's global generators for an epoch, counted from 0; ranks draw independently."""
    if rank == 0:
        torch.manual_seed(epoch_seed(seed, epoch))
    else:
        mixed = np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(mixed[0]))


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's global generators, uint8 on the CPU, by kind of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generators(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `generator_states` gave, as far as this device has such generators."""
    # Cloned: torch reads from the start of the memory that a view lies in.
    if "cpu" in states:
        torch.set_rng_state(states["cpu"].clone())
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].clone(), device)
