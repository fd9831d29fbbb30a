"""The expected cost of networks drawn by a space's decisions, differentiable in their
probabilities: FBNet (Wu et al. 2019, arXiv 1812.03443, equation 3), per block and SE option."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from search_space import Candidate, InputError, SearchSpace
from search_space.coverage import IMAGE_CHANNELS, Coverage, Place, Variant, coverage
from search_space.values import SE
from senet_nas.cost import Cost, block_cost, classifier_cost, cost, trace
from senet_nas.nn.placement import PLACEMENTS
from senet_nas.nn.supernet.gates import meta_gate
from senet_nas.nn.supernet.place import meta_unit

AXES = ("macs", "params", "activations")
_CHECKED = 8  # random networks on which the sum is compared with the cost itself

Shape = tuple[int, ...]


class ExpectedCost:
    """E[cost] of independent decisions: the sum over places of what each block and each SE option
    costs there, times its probability. Exact, since blocks add up, where all blocks at a place see
    maps of one size; a space where that isn't so is refused.

    axis: one of `AXES`. Raises `InputError` for another.
    """

    def __init__(self, space: SearchSpace, axis: str, image_size: int, num_classes: int) -> None:
        if axis not in AXES:
            raise InputError(f"supernet.target_cost must be one of {', '.join(AXES)}, not {axis!r}")
        self.axis = axis
        self._coverage = coverage(space)
        sizes = _map_sizes(self._coverage, image_size)
        self._places = [
            _PlaceCost(place, sizes[place.path], axis) for place in self._coverage.places
        ]
        self._classifier = _classifier(self._coverage, axis, num_classes)
        self._check(space, image_size, num_classes)

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """In MACs, parameters or elements. probabilities: of each decision's options, (options,)
        each, on one device."""
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

    def _check(self, space: SearchSpace, image_size: int, num_classes: int) -> None:
        rng = np.random.default_rng(1)
        for candidate in [space.sample(rng) for _ in range(_CHECKED)]:
            counted = getattr(cost(space.build(candidate), image_size, num_classes), self.axis)
            summed = float(self(one_hots(space, candidate)))
            if abs(summed - counted) > 1e-4 * counted:
                raise InputError(
                    f"space {space.name!r}: the costs of its blocks don't add up place by place "
                    f"({summed:.0f} {self.axis}, and {counted} of a whole network), so a target "
                    "can't be aimed at"
                )


class _PlaceCost:
    """What may stand at a place, by the decisions' options: its cost."""

    def __init__(self, place: Place, size: int, axis: str) -> None:
        self.place = place
        if set(place.positions) & set(place.se_positions):
            raise InputError(f"{place.path}: SE and the block depend on the same decisions")
        self.may_be_absent = bool((place.table < 0).any())
        self._table = torch.from_numpy(place.table.reshape(-1) + 1)
        self._se_table = torch.from_numpy(place.se_table.reshape(-1))
        plain, added = [0.0], [[0.0] * len(place.se_options)]
        for variant in place.variants:
            counted, _ = block_cost(variant.block, (variant.in_channels, size, size))
            plain.append(float(getattr(counted, axis)))
            added.append(_gate_costs(variant, place.se_options, size, axis))
        self._plain, self._added = torch.tensor(plain), torch.tensor(added)

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
        plain, added = self._plain.to(shares.device), self._added.to(shares.device)
        return (shares * (plain + added @ se)).sum()


def _gate_costs(
    variant: Variant, options: Sequence[SE | None], size: int, axis: str
) -> list[float]:
    """What each SE option adds to a block."""
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
        else float(getattr(_gate_cost(se, shapes[se.placement], variant.in_channels), axis))
        for se in options
    ]


@cache
def _gate_cost(se: SE, shape: Shape, in_channels: int) -> Cost:
    return trace(meta_gate(se, shape[0], in_channels), shape)[0]


def _map_sizes(found: Coverage, image_size: int) -> dict[str, int]:
    """The side of the map that each place reads."""
    size, sizes = image_size, {}
    for place in found.places:
        sizes[place.path] = size
        variant = place.variants[0]
        _, shape = block_cost(variant.block, (variant.in_channels, size, size))
        size = shape[1]
    return sizes


def _classifier(found: Coverage, axis: str, num_classes: int) -> dict[int, float]:
    head = found.head
    widths = {variant.block.channels for place in found.places for variant in place.variants}
    costs = {
        width: classifier_cost(head.hidden, head.hidden_bias, width, num_classes)
        for width in widths | {IMAGE_CHANNELS}
    }
    return {width: float(getattr(counted, axis)) for width, counted in costs.items()}


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
