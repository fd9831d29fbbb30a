"""What two networks differ in, block by block, and in what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from search_space import SE, Architecture, Block, Blueprint, InputError, structural_hash
from senet_nas.cost import cost

Pair = tuple[Any, Any]  # of the first and of the second; None where one has no such thing
COUNTED = ("params", "macs", "activations")


@dataclass(frozen=True)
class PlaceDifference:
    """path: of a block, of a module of a retrofitted network, or `head`. differs: settings by
    name; where the block stands in one network alone, all of it under `block`."""

    path: str
    differs: Mapping[str, Pair]


@dataclass(frozen=True)
class NetworkDifference:
    """names: as given. same: whether they are one network by structure. places: what differs, in
    order. costs: params, macs and activations of both."""

    names: tuple[str, str]
    same: bool
    places: tuple[PlaceDifference, ...]
    costs: Mapping[str, Pair]
    image_size: int
    classes: int

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"kind": "networks", **asdict(self)}


def network_difference(
    names: tuple[str, str], first: Blueprint, second: Blueprint, image_size: int, classes: int
) -> NetworkDifference:
    """Blocks are held against each other by their paths. Raises `InputError` where one network
    is retrofitted and the other is not, and what `cost` raises."""
    counted = [cost(network, image_size, classes) for network in (first, second)]
    return NetworkDifference(
        names=names,
        same=structural_hash(first) == structural_hash(second),
        places=_places(first, second),
        costs={name: (getattr(counted[0], name), getattr(counted[1], name)) for name in COUNTED},
        image_size=image_size,
        classes=classes,
    )


def _places(first: Blueprint, second: Blueprint) -> tuple[PlaceDifference, ...]:
    if isinstance(first, Architecture) != isinstance(second, Architecture):
        raise InputError(
            "a retrofitted network and one of the project's own blocks have no places in common"
        )
    parts = [_parts(network) for network in (first, second)]
    found = []
    for path in sorted({**parts[0], **parts[1]}, key=_key):
        differs = differing(parts[0].get(path), parts[1].get(path))
        if differs:
            found.append(PlaceDifference(path, differs))
    return tuple(found)


def _parts(network: Blueprint) -> dict[str, dict[str, Any]]:
    """The settings of every part, defaults among them, by path."""
    if not isinstance(network, Architecture):
        own = {"network": {"source": network.source}}
        return own | {place: _se_settings(se) for place, se in network.gates}
    head = {f.name: getattr(network.head, f.name) for f in fields(network.head)}
    del head["blocks"]
    blocks = {path: _block_settings(block) for path, block in network.blocks()}
    return blocks | {"head": {**head, "norm_eps": network.norm_eps}}


def _block_settings(block: Block) -> dict[str, Any]:
    settings = {f.name: getattr(block, f.name) for f in fields(block)}
    del settings["extra"], settings["se"]
    se = {} if block.se is None else _se_settings(block.se)
    return settings | dict(block.extra) | se


def _se_settings(se: SE) -> dict[str, Any]:
    return {f"se.{field.name}": getattr(se, field.name) for field in fields(se)}


def differing(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> dict[str, Pair]:
    """The settings that differ. One SE against none is one difference, `se`, in short."""
    if first is None or second is None:
        return {"block": (_in_short(first), _in_short(second))}
    names = list(dict.fromkeys([*first, *second]))
    if ("se.r" in first) != ("se.r" in second):
        names = ["se", *(name for name in names if not name.startswith("se."))]
        first, second = {**first, "se": _se_of(first)}, {**second, "se": _se_of(second)}
    return {
        name: (first.get(name), second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    }


def _se_of(settings: Mapping[str, Any]) -> str | None:
    values = {name[3:]: value for name, value in settings.items() if name.startswith("se.")}
    return SE(**values).label() if values else None


def _in_short(settings: Mapping[str, Any] | None) -> str | None:
    if settings is None:
        return None
    if "cell" not in settings:
        return _se_of(settings)
    se = _se_of(settings)
    return f"{settings['cell']} {settings['channels']}" + (f", SE {se}" if se else "")


def _key(path: str) -> tuple[int, list[tuple[int, str]]]:
    """stem, stages, head; numbers by their value."""
    parts = path.split(".")
    rank = {"network": 0, "stem": 1, "stages": 2, "head": 4}.get(parts[0], 3)
    return rank, [(int(p), "") if p.isdigit() else (0, p) for p in parts]


def flattened(data: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by dotted names; lists are values, as JSON."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = json.dumps(value) if isinstance(value, list) else value
    return found
