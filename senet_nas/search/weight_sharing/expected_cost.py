"""The expected cost of networks drawn by a space's decisions, differentiable in their
probabilities: FBNet (Wu et al. 2019, arXiv 1812.03443, equation 3), per block and SE option."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from search_space import Candidate, InputError, SearchSpace
from search_space.coverage import Coverage, Place, coverage
from senet_nas.nn.network import map_after
from senet_nas.search.known_costs import KnownCosts
from senet_nas.search.weight_sharing.place_costs import place_costs

_CHECKED = 8  # random networks on which the sum is compared with the cost itself


class ExpectedCost:
    """E[cost] of independent decisions: the sum over places of what each block and each SE option
    costs there, times its probability. Exact, since blocks add up, where all blocks at a place see
    maps of one size; a space where that isn't so is refused.

    axis: one of the costs that are known. Raises `InputError` for another.
    """

    def __init__(self, space: SearchSpace, axis: str, known: KnownCosts) -> None:
        self.axis = axis
        self._known = known.of(axis)
        costs = place_costs(axis, known)
        self._coverage = coverage(space)
        sizes, last = _map_sizes(self._coverage, known.image_size)
        self._places = [
            _PlaceCost(place, costs.of_place(place, sizes[place.path]))
            for place in self._coverage.places
        ]
        widths = self._coverage.last_widths()
        self._classifier = {
            width: costs.of_classifier(self._coverage.head, width, last) for width in widths
        }
        self._check(space)

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """In MACs, parameters, elements or milliseconds. probabilities: of each decision's options,
        (options,) each, on one device."""
        total = torch.zeros((), device=probabilities[0].device)
        for place in self._places:
            total = total + place(probabilities)
        return total + self._last(probabilities)

    def _last(self, probabilities: Sequence[Tensor]) -> Tensor:
        """The classifier behind the last block that there is."""
        total = torch.zeros((), device=probabilities[0].device)
        reached = torch.ones_like(total)
        for place in reversed(self._places):
            shares = place.variant_weights(probabilities)
            widths = [variant.block.channels for variant in place.place.variants]
            costs = torch.tensor([self._classifier[width] for width in widths]).to(shares.device)
            total = total + reached * (shares[1:] * costs).sum()
            if not place.may_be_absent:
                break
            reached = reached * shares[0]
        return total

    def _check(self, space: SearchSpace) -> None:
        rng = np.random.default_rng(1)
        for candidate in [space.sample(rng) for _ in range(_CHECKED)]:
            counted = self._known(space.build(candidate))
            summed = float(self(one_hots(space, candidate)))
            if abs(summed - counted) > 1e-4 * counted:
                raise InputError(
                    f"space {space.name!r}: the costs of its blocks don't add up place by place "
                    f"({summed:.6g} {self.axis}, and {counted:.6g} of a whole network), so a "
                    "target can't be aimed at"
                )


class _PlaceCost:
    """What may stand at a place, by the decisions' options: its cost. costs: (variants, SE
    options)."""

    def __init__(self, place: Place, costs: Tensor) -> None:
        self.place = place
        if set(place.positions) & set(place.se_positions):
            raise InputError(f"{place.path}: SE and the block depend on the same decisions")
        self.may_be_absent = bool((place.table < 0).any())
        self._table = torch.from_numpy(place.table.reshape(-1) + 1)
        self._se_table = torch.from_numpy(place.se_table.reshape(-1))
        self._costs = costs

    def variant_weights(self, probabilities: Sequence[Tensor]) -> Tensor:
        """(1 + variants,): of no block, and of each."""
        return _distribution(
            self.place.positions, self._table, 1 + len(self.place.variants), probabilities
        )

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        shares = self.variant_weights(probabilities)
        se = _distribution(
            self.place.se_positions, self._se_table, len(self.place.se_options), probabilities
        )
        return shares[1:] @ (self._costs.to(shares.device) @ se)


def _map_sizes(found: Coverage, image_size: int) -> tuple[dict[str, int], int]:
    """The side of the map that each place reads, and the classifier."""
    size, sizes = image_size, {}
    for place in found.places:
        sizes[place.path] = size
        variant = place.variants[0]
        size = map_after(variant.block, (variant.in_channels, size, size))[1]
    return sizes, size


def _distribution(
    positions: Sequence[int], table: Tensor, count: int, weights: Sequence[Tensor]
) -> Tensor:
    joint = torch.ones((), device=weights[0].device)
    for position in positions:
        joint = joint[..., None] * weights[position]
    zeros = torch.zeros(count, device=joint.device)
    return zeros.index_add(0, table.to(joint.device), joint.reshape(-1))


def one_hots(space: SearchSpace, candidate: Candidate) -> list[Tensor]:
    """All the weight on one network's options."""
    found = []
    for number, decision in zip(candidate, space.decisions, strict=True):
        weights = torch.zeros(len(decision.options))
        weights[number] = 1
        found.append(weights)
    return found


def target_loss(expected: Tensor, target: float) -> Tensor:
    """How far an expected cost is from its target, in squares of its logarithm: 1% too much and
    1% too little weigh the same, whatever the unit."""
    return (expected / target).log() ** 2
