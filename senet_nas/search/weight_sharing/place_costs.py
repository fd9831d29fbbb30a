"""What each block and each SE option costs at a place of a space's networks, and what stands
behind the last block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol

import torch
from torch import Tensor

from search_space import Head
from search_space.coverage import Place, Variant
from search_space.values import SE
from senet_nas.cost import Cost, block_cost, classifier_cost, trace
from senet_nas.latency import LatencyTable, block_part, classifier_part
from senet_nas.nn.placement import PLACEMENTS
from senet_nas.nn.supernet.gates import meta_gate
from senet_nas.nn.supernet.place import meta_unit
from senet_nas.search.known_costs import LATENCY, KnownCosts

Shape = tuple[int, ...]


class PlaceCosts(Protocol):
    """One kind of cost, of which a network's is the sum over its blocks and its classifier."""

    def of_place(self, place: Place, size: int) -> Tensor:
        """(variants, SE options), where the place reads maps of this side."""

    def of_classifier(self, head: Head, width: int, size: int) -> float:
        """Behind a map of so many channels, of this side."""


def place_costs(axis: str, known: KnownCosts) -> PlaceCosts:
    """Of one of the costs that are known."""
    if axis == LATENCY and known.table is not None:
        return TabledCosts(known.table)
    return CountedCosts(axis, known.num_classes)


@dataclass(frozen=True)
class CountedCosts:
    """axis: macs, params or activations. SE adds to what its block costs without."""

    axis: str
    num_classes: int

    def of_place(self, place: Place, size: int) -> Tensor:
        """See `PlaceCosts`."""
        rows = []
        for variant in place.variants:
            counted, _ = block_cost(variant.block, (variant.in_channels, size, size))
            plain = self._value(counted)
            rows.append([plain + added for added in self._gates(variant, place.se_options, size)])
        return torch.tensor(rows)

    def of_classifier(self, head: Head, width: int, size: int) -> float:
        """See `PlaceCosts`."""
        return self._value(classifier_cost(head.hidden, head.hidden_bias, width, self.num_classes))

    def _value(self, counted: Cost) -> float:
        return float(getattr(counted, self.axis))

    def _gates(self, variant: Variant, options: Sequence[SE | None], size: int) -> list[float]:
        unit = meta_unit(variant, 1e-5)
        shapes: dict[str, Shape] = {}

        def seen(placement: str, x: Tensor) -> Tensor:
            shapes[placement] = tuple(x.shape[1:])
            return x

        with torch.no_grad():
            x = torch.zeros(1, variant.in_channels, size, size, device="meta")
            unit.gated_everywhere(x, {name: partial(seen, name) for name in PLACEMENTS})
        return [
            0.0
            if se is None or se.placement not in shapes
            else self._value(_gate_cost(se, shapes[se.placement], variant.in_channels))
            for se in options
        ]


@cache
def _gate_cost(se: SE, shape: Shape, in_channels: int) -> Cost:
    return trace(meta_gate(se, shape[0], in_channels), shape)[0]


@dataclass(frozen=True)
class TabledCosts:
    """Milliseconds by a table, which has each block with each SE. Raises `InputError` where it
    lacks one."""

    table: LatencyTable

    def of_place(self, place: Place, size: int) -> Tensor:
        """See `PlaceCosts`."""
        return torch.tensor(
            [
                [
                    self.table.of(
                        block_part(replace(variant.block, se=se), (variant.in_channels, size, size))
                    )
                    for se in place.se_options
                ]
                for variant in place.variants
            ]
        )

    def of_classifier(self, head: Head, width: int, size: int) -> float:
        """See `PlaceCosts`."""
        classes = self.table.conditions.classes
        return self.table.of(classifier_part(head, (width, size, size), classes))
