"""The SE map: how often each SE option stands at each place, on the front and in all trials."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from search_space import SE, Blueprint, Retrofit
from search_space.values import se_to_data
from senet_nas.analysis.se_places import SEPlace

NONE = "no SE"


def se_map(networks: Sequence[Blueprint], front: Collection[int]) -> dict[str, Any]:
    """`options`: each SE that stands anywhere, first none. `places`: those where one stands, in the
    networks' order, with `all` and `front`: how many networks have option n there; and how many
    have the place at all. front: the indices of its networks."""
    standing = [_standing(network) for network in networks]
    chosen = {se for gates in standing for se in gates.values() if se is not None}
    options: list[SE | None] = [None, *sorted(chosen, key=lambda se: (se.r, se.label()))]
    numbers = {option: number for number, option in enumerate(options)}
    with_se = {path for gates in standing for path, se in gates.items() if se is not None}
    retrofitted = any(isinstance(network, Retrofit) for network in networks)
    places = []
    for path in sorted(with_se, key=_order):
        counts = {"all": [0] * len(options), "front": [0] * len(options)}
        for index, gates in enumerate(standing):
            if path not in gates and not retrofitted:
                continue  # a shallower network has no such block
            number = numbers[gates.get(path)]
            counts["all"][number] += 1
            if index in front:
                counts["front"][number] += 1
        places.append({"place": SEPlace(0, path, False).label, **counts})
    return {
        "options": [
            {"label": NONE} if se is None else {"label": se.label(), **_attributes(se)}
            for se in options
        ],
        "places": places,
        "networks": len(networks),
        "on_front": len(front),
    }


def _attributes(se: SE) -> dict[str, Any]:
    defaults = {"placement": se.placement, "squeeze": se.squeeze, "excitation": se.excitation}
    return defaults | se_to_data(se)


def _standing(network: Blueprint) -> Mapping[str, SE | None]:
    if isinstance(network, Retrofit):
        return dict(network.gates)
    return {path: block.se for path, block in network.blocks()}


def _order(path: str) -> tuple[int, list[tuple[int, int | str]]]:
    parts = path.split(".")
    room = {"stem": 0, "stages": 1, "head": 2}.get(parts[0], 1)
    return room, [(0, int(p)) if p.isdigit() else (1, p) for p in parts]
