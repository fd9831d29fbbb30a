"""A proxy by name, on the network of a blueprint."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from search_space import Blueprint
from search_space.errors import one_of
from search_space.registry import lookup, names
from senet_nas.training import seeded_network
from senet_nas.training.seeding import forked_rng

PACKAGE = "senet_nas.proxies"


def proxy_names() -> list[str]:
    """The names that `proxy_score` takes: those of the modules of this room."""
    return names(PACKAGE)


def check_proxy(name: str) -> None:
    """Raises `InputError` where there is no proxy of this name."""
    if name not in (known := proxy_names()):
        raise one_of("proxy", name, known)


def proxy_score(
    name: str,
    blueprint: Blueprint,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    seed: int = 0,
) -> float:
    """The score of a network with initial weights of `seed`; higher is better, and minus infinity
    where the proxy can't tell.

    images: float (N, 3, H, W), normalised, on the device to compute on. labels: (N,). Raises
    `InputError` for an unknown proxy and what `build_network` raises.
    """
    proxy = lookup(PACKAGE, name, "proxy")
    network = seeded_network(blueprint, num_classes, images.shape[-1], seed).to(images.device)
    with forked_rng(images.device):
        torch.manual_seed(seed)  # dropout draws from the global generator
        score = float(proxy.score(network, images, labels))
    return -math.inf if math.isnan(score) else score
