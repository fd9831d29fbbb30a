"""The networks of trials, block by block, in tables small enough for thousands of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Any

from search_space import SE, Blueprint, InputError, Retrofit
from search_space.values import block_to_data, se_to_data
from senet_nas.cost import PartCost, cost_by_part

MOST_TRACED = 300  # networks whose blocks are priced one by one, at some ms a new block


class Table:
    """Distinct values, each at a number: `number` gives it and makes it where it is new."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, row: Callable[[], Any]) -> int:
        """The number of a key, whose row is made once."""
        if key not in self._numbers:
            self._numbers[key] = len(self.rows)
            self.rows.append(row())
        return self._numbers[key]


def network_tables(
    networks: Sequence[Blueprint], first: Iterable[int], image_size: int, classes: int
) -> dict[str, Any]:
    """`networks`: for each network its `head`, a row of `heads`, and for stem, stages and head
    lists of rows of `parts`; `parts`: a row of `blocks`, then, where it was counted, params, MACs,
    activations and the shape (C, H, W) that it writes.

    first: the networks whose blocks are counted before the others; beyond `MOST_TRACED` networks
    only the structure is written. A retrofitted network has its `source`, and a part a place.
    """
    tables = _Tables(image_size, classes)
    order = dict.fromkeys([*first, *range(len(networks))])
    found: dict[int, Any] = {}
    for done, index in enumerate(order):
        found[index] = tables.described(networks[index], done < MOST_TRACED)
    return {
        "networks": [found[index] for index in range(len(networks))],
        "heads": tables.heads.rows,
        "parts": tables.parts.rows,
        "blocks": tables.blocks.rows,
        "image_size": image_size,
        "classes": classes,
    }


class _Tables:
    def __init__(self, image_size: int, classes: int) -> None:
        self.image_size, self.classes = image_size, classes
        self.blocks, self.parts, self.heads = Table(), Table(), Table()

    def described(self, network: Blueprint, with_costs: bool) -> dict[str, Any]:
        costs: dict[str, PartCost] = {}
        if with_costs:
            try:
                counted = cost_by_part(network, self.image_size, self.classes)
                costs = {part.path: part for part in counted}
            except InputError:
                pass  # somebody else's network that isn't installed here is drawn all the same
        if isinstance(network, Retrofit):
            return self._retrofitted(network, costs)
        rows = {
            path: self._part(block, partial(block_to_data, block), costs.get(path))
            for path, block in network.blocks()
        }
        data = json.loads(network.to_json())
        head = {key: value for key, value in data.items() if key not in ("stem", "stages")}
        head["head"] = {k: v for k, v in head["head"].items() if k != "blocks"}
        return {
            "head": self.heads.number(json.dumps(head), lambda: head),
            "stem": [rows[f"stem.blocks.{n}"] for n in range(len(network.stem.blocks))],
            "stages": [
                [rows[f"stages.{number}.blocks.{n}"] for n in range(len(stage.blocks))]
                for number, stage in enumerate(network.stages)
            ],
            "tail": [rows[f"head.blocks.{n}"] for n in range(len(network.head.blocks))],
            "classifier": self._part("classifier", lambda: None, costs.get("classifier")),
        }

    def _retrofitted(self, network: Retrofit, costs: dict[str, PartCost]) -> dict[str, Any]:
        return {
            "source": network.source,
            "base": self._part("source", lambda: None, costs.get("source")),
            "gates": [
                self._part(
                    (place, se),
                    partial(_gate, place, se),
                    costs.get(place),
                )
                for place, se in network.gates
            ],
        }

    def _part(self, key: Hashable, data: Callable[[], Any], part: PartCost | None) -> int:
        block = self.blocks.number(key, data)
        if part is None:
            return self.parts.number((block,), lambda: [block])
        counted = part.cost
        row = [block, counted.params, counted.macs, counted.activations, *(part.after or ())]
        return self.parts.number(tuple(row), lambda: row)


def _gate(place: str, se: SE) -> dict[str, Any]:
    return {"place": place, "se": se_to_data(se)}
