"""Milliseconds of whole networks."""

from __future__ import annotations

from collections.abc import Sequence

from search_space import Blueprint
from senet_nas.latency.measuring import Timing, measured
from senet_nas.nn import build_network


def measure_latencies(
    networks: Sequence[Blueprint],
    image_size: int = 224,
    num_classes: int = 1000,
    timing: Timing | None = None,
) -> list[float]:
    """Median milliseconds of an inference of each network, all of which take turns, by default of
    one image on this CPU. Varies with the machine and what else it does."""
    shape = 3, image_size, image_size
    built = [[(build_network(network, num_classes, image_size), shape)] for network in networks]
    return [milliseconds for (milliseconds,) in measured(built, timing or Timing())]


def measure_latency(
    network: Blueprint,
    image_size: int = 224,
    num_classes: int = 1000,
    timing: Timing | None = None,
) -> float:
    """The same of one network."""
    return measure_latencies([network], image_size, num_classes, timing)[0]
