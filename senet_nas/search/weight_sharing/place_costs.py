"""What each block and each SE option costs at a place of a space's networks, and what stands
behind the last block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from search_space import Block, Head
from search_space.coverage import Place
from senet_nas.cost import Map, block_cost, classifier_cost
from senet_nas.latency import LatencyTable, block_part, classifier_part
from senet_nas.search.known_costs import LATENCY, KnownCosts


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
    """axis: macs, params or activations."""

    axis: str
    num_classes: int

    def of_place(self, place: Place, size: int) -> Tensor:
        """See `PlaceCosts`."""
        return _matrix(
            place, size, lambda block, shape: getattr(block_cost(block, shape)[0], self.axis)
        )

    def of_classifier(self, head: Head, width: int, size: int) -> float:
        """See `PlaceCosts`."""
        counted = classifier_cost(head.hidden, head.hidden_bias, width, self.num_classes)
        return float(getattr(counted, self.axis))


@dataclass(frozen=True)
class TabledCosts:
    """Milliseconds by a table, which has each block with each SE. Raises `InputError` where it
    lacks one."""

    table: LatencyTable

    def of_place(self, place: Place, size: int) -> Tensor:
        """See `PlaceCosts`."""
        return _matrix(place, size, lambda block, shape: self.table.of(block_part(block, shape)))

    def of_classifier(self, head: Head, width: int, size: int) -> float:
        """See `PlaceCosts`."""
        classes = self.table.conditions.classes
        return self.table.of(classifier_part(head, (width, size, size), classes))


def _matrix(place: Place, size: int, value: Callable[[Block, Map], float]) -> Tensor:
    """(variants, SE options) of a block's value."""
    return torch.tensor(
        [
            [
                float(value(replace(variant.block, se=se), (variant.in_channels, size, size)))
                for se in place.se_options
            ]
            for variant in place.variants
        ]
    )
