"""Initial weights that the variants of a network share, so that one seed makes pairs."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from search_space import Architecture, Blueprint
from search_space.published import without_se
from senet_nas.nn.squeeze_excitation import SqueezeExcitation
from senet_nas.training import seeded_network


def paired_network(
    architecture: Blueprint, num_classes: int, image_size: int, seed: int
) -> nn.Module:
    """A network whose weights outside of SE are those of the same network without SE for this
    seed, and whose every SE depends on the seed, its place and its shape alone.

    `seeded_network` draws all weights in one row, so that SE in the first block moves all that
    comes after. Raises what it raises.
    """
    network = seeded_network(architecture, num_classes, image_size, seed)
    if not isinstance(architecture, Architecture):
        return network  # somebody's own model, with weights of its own
    trunk = seeded_network(without_se(architecture), num_classes, image_size, seed)
    network.load_state_dict(trunk.state_dict(), strict=False)
    places = [name for name, _ in trunk.named_modules()]
    with torch.random.fork_rng(devices=[]):
        for name, module in network.named_modules():
            if isinstance(module, SqueezeExcitation):
                around = name.rpartition(".")[0]
                _draw(module, seed, places.index(around))
    return network


def _draw(se: SqueezeExcitation, seed: int, place: int) -> None:
    mixed = np.random.SeedSequence([seed, place, 1])
    torch.manual_seed(int(mixed.generate_state(1, np.uint64)[0]))
    se.reduce.reset_parameters()
    se.expand.reset_parameters()
    if se.value.neutral:
        se.mirror()
