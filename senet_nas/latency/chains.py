"""Parts in chains that are like networks, in which each is measured as it would be in one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from senet_nas.latency.parts import Part
from senet_nas.nn.network import Map

IN_CHAIN = 12  # parts: about a network
AT_ONCE = 96  # parts that take turns, and are then written


def groups_of(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts that are measured together, of all sizes of maps."""
    running = sorted(parts, key=lambda part: _order(part.before))
    count = math.ceil(len(running) / AT_ONCE)
    for start in range(count):
        yield running[start::count]


def chains_of(parts: Sequence[Part], seed: int) -> list[list[Part]]:
    """Each part once, behind one that makes the map that it reads as often as there is one: on
    random paths from large maps to small ones."""
    rng = np.random.default_rng(seed)
    waiting: dict[Map, list[Part]] = {}
    for number in rng.permutation(len(parts)):
        part = parts[number]
        waiting.setdefault(part.before, []).append(part)
    chains = []
    while waiting:
        chains.append(_path(waiting))
    return chains


def _path(waiting: dict[Map, list[Part]]) -> list[Part]:
    """Parts taken from those that wait."""
    path: list[Part] = []
    reached: Map | None = min(waiting, key=_order)
    while reached is not None and len(path) < IN_CHAIN:
        part = waiting[reached].pop()
        if not waiting[reached]:
            del waiting[reached]
        path.append(part)
        after = part.after or part.before
        ahead = (shape for shape in waiting if _order(shape) >= _order(after))
        reached = after if after in waiting else min(ahead, key=_order, default=None)
    return path


def _order(shape: Map) -> tuple[int, int]:
    """Large maps first, as in networks."""
    return -shape[1], shape[0]
