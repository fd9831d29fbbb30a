"""Mixtures of all that a space's decisions allow, in one pass: the relaxation that differentiable
search needs (Liu et al. 2019, DARTS, arXiv 1806.09055, equation 2).

Widths, kernels and groups are mixed by masks; cells by their outputs; depths by the outputs of the
stage's blocks; and SE by its gates: at each of the five placements the map is multiplied by
1 + sum p (g - 1), so that however many SE options there are, the trunk is computed once. With all
weight on one option of each decision, the mixture is the network of these options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from search_space.coverage import Place
from senet_nas.nn.supernet.mixed_gates import TINY, MixedGates, proportions
from senet_nas.nn.supernet.place import SharedPlace
from senet_nas.nn.supernet.structure import Structure, structures
from senet_nas.nn.supernet.supernet import Supernet


@dataclass(frozen=True, eq=False)
class Mixture:
    """weights: for each decision of the space one of each option, which add up to 1. support: for
    each decision the options that are computed at all; those with a weight where it isn't given.
    """

    weights: Sequence[Tensor]
    support: Sequence[Sequence[int]] | None = None

    def indicators(self) -> list[np.ndarray]:
        """For each decision which options are computed."""
        if self.support is None:
            return [(weight.detach() > 0).cpu().numpy() for weight in self.weights]
        found = []
        for weight, options in zip(self.weights, self.support, strict=True):
            present = np.zeros(len(weight), dtype=bool)
            present[list(options)] = True
            found.append(present)
        return found


class MixedSupernet:
    """A supernet's mixtures: images (N, 3, H, W) and a mixture to logits (N, num_classes)."""

    def __init__(self, supernet: Supernet) -> None:
        self.supernet = supernet
        self._rows = [
            [MixedPlace(supernet.place(place.path)) for place in row]
            for row in supernet.coverage.rows
        ]

    def __call__(self, x: Tensor, mixture: Mixture) -> Tensor:
        indicators = mixture.indicators()
        nearest = _nearest(mixture.weights, indicators)
        training = self.supernet.training
        for row in self._rows:
            x = _run_row(row, x, mixture.weights, nearest, indicators, training)
        # Widths that a network doesn't have are zeros, which the widest classifier may read.
        width = x.shape[1]
        logits: Tensor = self.supernet.last(width).use(training)(x.mean((2, 3)))
        return logits


def _run_row(
    row: Sequence[MixedPlace],
    x: Tensor,
    weights: Sequence[Tensor],
    nearest: Sequence[Tensor],
    indicators: Sequence[np.ndarray],
    training: bool,
) -> Tensor:
    """Blocks in a row, of which later ones may be absent: the outputs of all lengths, weighed."""
    total: Tensor | None = None
    reached = x.new_ones(())
    for place in row:
        present = place.presence(weights)
        some_absent, some_present = place.may_be(indicators)
        if some_absent:
            ending = (reached - present) * x
            total = ending if total is None else _add(total, ending)
        if not some_present:
            return x if total is None else total
        x = place(x, weights, nearest, indicators, training)
        reached = present
    if total is None:
        return x
    return _add(total, reached * x)


def _add(first: Tensor, second: Tensor) -> Tensor:
    """The sum, where the narrower one is zero in the channels that it lacks."""
    width = max(first.shape[1], second.shape[1])
    return _widened(first, width) + _widened(second, width)


def _widened(x: Tensor, width: int) -> Tensor:
    lacking = width - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, 0, lacking)) if lacking else x


class MixedPlace:
    """All blocks of one place, as one module for each of its structures."""

    def __init__(self, shared: SharedPlace) -> None:
        self.place: Place = shared.place
        units = [shared.unit(variant) for variant in self.place.variants]
        self.structures = structures(self.place.variants, units, shared)
        self._gates = [MixedGates(shared, structure) for structure in self.structures]
        self._table = torch.from_numpy(self.place.table.reshape(-1) + 1)
        self._se_table = torch.from_numpy(self.place.se_table.reshape(-1))

    def variant_weights(self, weights: Sequence[Tensor]) -> Tensor:
        """(1 + variants,): the weight of no block, and of each variant."""
        return _distribution(
            self.place.positions, self._table, len(self.place.variants) + 1, weights
        )

    def se_weights(self, weights: Sequence[Tensor]) -> Tensor:
        """(SE options,): the weight of each."""
        count = len(self.place.se_options)
        return _distribution(self.place.se_positions, self._se_table, count, weights)

    def presence(self, weights: Sequence[Tensor]) -> Tensor:
        """The weight on there being a block at all."""
        return self.variant_weights(weights)[1:].sum()

    def may_be(self, indicators: Sequence[np.ndarray]) -> tuple[bool, bool]:
        """Whether, by the options that are computed, there may be no block, and a block."""
        possible = self._possible(indicators)
        return bool(possible[0]), bool(possible[1:].any())

    def _possible(self, indicators: Sequence[np.ndarray]) -> np.ndarray:
        return _reached(
            self.place.positions, self._table.numpy(), len(self.place.variants) + 1, indicators
        )

    def __call__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        nearest: Sequence[Tensor],
        indicators: Sequence[np.ndarray],
        training: bool,
    ) -> Tensor:
        """The mixture of the blocks that may stand here, given that one does. nearest: weights by
        which those that have none are put together."""
        possible = self._possible(indicators)[1:]
        variant_weights = self.variant_weights(weights)[1:]
        se_weights = self.se_weights(weights)
        se_possible = _reached(
            self.place.se_positions, self._se_table.numpy(), len(se_weights), indicators
        )
        total: Tensor | None = None
        listed = torch.from_numpy(possible).to(x.device)
        if not float(variant_weights.detach()[listed].sum()) > 0:
            # No block at all has the weight: what one would give is computed for that gradient.
            variant_weights = self.variant_weights(nearest)[1:]
        everything = variant_weights[listed].sum()
        several = sum(possible[list(s.numbers)].any() for s in self.structures) > 1
        for structure, gates in zip(self.structures, self._gates, strict=True):
            chosen = [index for index, n in enumerate(structure.numbers) if possible[n]]
            if not chosen:
                continue
            numbers = [structure.numbers[index] for index in chosen]
            own = variant_weights[numbers]
            share = own.sum()
            if not float(share.detach()) > 0:  # computed for the gradient of its gate alone
                own = self.variant_weights(nearest)[1:][numbers]
            within = proportions(own)
            y = _run(structure, gates, x, chosen, within, se_weights, se_possible, training)
            if several:
                y = y * (share / everything)
            total = y if total is None else _add(total, y)
        assert total is not None
        return total


def _run(
    structure: Structure,
    gates: MixedGates,
    x: Tensor,
    chosen: Sequence[int],
    within: Tensor,
    se_weights: Tensor,
    se_possible: np.ndarray,
    training: bool,
) -> Tensor:
    read = max(structure.variants[index].in_channels for index in chosen)
    unit = structure.use(chosen, within, training)
    placed = gates.placed(chosen, within, se_weights, se_possible, training)
    return unit.gated_everywhere(_widened(x[:, :read], read), placed)


def _distribution(
    positions: Sequence[int], table: Tensor, count: int, weights: Sequence[Tensor]
) -> Tensor:
    """The weight of each of `count` outcomes, which a table of option numbers gives."""
    device = weights[0].device if weights else None
    joint = torch.ones((), device=device)
    for position in positions:
        joint = joint[..., None] * weights[position]
    return torch.zeros(count, device=device).index_add(0, table.to(joint.device), joint.reshape(-1))


def _nearest(weights: Sequence[Tensor], indicators: Sequence[np.ndarray]) -> list[Tensor]:
    """The weights with a little more for each option that is computed: by these, what has no weight
    is put together with as few other options changed as may be."""
    return [
        weight.detach() + TINY * torch.from_numpy(present).to(weight.device, weight.dtype)
        for weight, present in zip(weights, indicators, strict=True)
    ]


def _reached(
    positions: Sequence[int], table: np.ndarray, count: int, indicators: Sequence[np.ndarray]
) -> np.ndarray:
    """Which outcomes any of the options that are computed gives."""
    joint = np.ones((), dtype=bool)
    for position in positions:
        joint = joint[..., None] & indicators[position]
    found = np.zeros(count, dtype=bool)
    np.logical_or.at(found, table, joint.reshape(-1))
    return found
