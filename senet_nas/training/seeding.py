"""What a seed fixes: initial weights, the order of images, augmentation, dropout.

Each epoch draws from generators of its own, made of (seed, epoch), so that training resumed at an
epoch's start sees what an uninterrupted run would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from search_space import Blueprint, checks
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


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A CPU generator for an epoch (counted from 0), independent of other epochs' and seeds'."""
    return torch.Generator().manual_seed(epoch_seed(seed, epoch))


def epoch_seed(seed: int, epoch: int) -> int:
    """64 bits mixed from (seed, epoch)."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
