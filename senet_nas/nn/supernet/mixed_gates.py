"""The mixed gates of a place: however many SE options there are, each placement has one.

Options of one placement, squeeze and excitation differ in their hidden width alone, and are mixed
by a mask over the hidden units; others by their gates, as 1 + sum p (g - 1), where no SE is a gate
of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from senet_nas.nn.squeeze_excitation import SQUEEZES, SqueezeExcitation
from senet_nas.nn.supernet.gates import EXPAND, REDUCE, meta_gate, sharing_key
from senet_nas.nn.supernet.place import SharedPlace
from senet_nas.nn.supernet.structure import Structure, survival
from senet_nas.nn.supernet.weights import SharedWeights, bind

TINY = 1e-6  # of a weight, for what has none


def proportions(weights: Tensor) -> Tensor:
    """The same to a sum of 1; alike where none has any."""
    total = weights.sum()
    return weights / total if float(total.detach()) > 0 else torch.ones_like(weights) / len(weights)


class MixedGates:
    """The SE options of a place in one structure."""

    def __init__(self, shared: SharedPlace, structure: Structure) -> None:
        self._shared = shared
        options = shared.place.se_options
        self.kinds: list[_Kind] = []
        numbers: dict[tuple[str, ...], int] = {}
        shape = len(structure.variants), len(options)
        self._kind = np.full(shape, -1)
        self._hidden = np.zeros(shape, dtype=np.int64)
        for option, se in enumerate(options):
            if se is None:
                continue
            for index, (variant, unit) in enumerate(
                zip(structure.variants, structure.units, strict=True)
            ):
                width = unit.gated_width(se.placement)
                if width is None:
                    continue
                key = (se.placement, se.squeeze, se.excitation, sharing_key(se))
                if key not in numbers:
                    numbers[key] = len(self.kinds)
                    module = meta_gate(se, width, variant.in_channels)
                    self.kinds.append(_Kind(module, shared.gates.weights(key[-1])))
                self._kind[index, option] = numbers[key]
                self._hidden[index, option] = se.hidden_channels(width, variant.in_channels)

    def placed(
        self,
        chosen: Sequence[int],
        within: Tensor,
        se_weights: Tensor,
        se_possible: np.ndarray,
        training: bool,
    ) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """For each placement with an SE option the map that its mixed gate is."""
        if not self.kinds:
            return {}
        options = se_possible.nonzero()[0]
        rows = np.asarray(chosen)[:, None]
        kinds = self._kind[rows, options[None, :]].reshape(-1)
        hidden = self._hidden[rows, options[None, :]].reshape(-1)
        given = se_weights[torch.from_numpy(options)]
        joint = (within[:, None] * given[None, :]).reshape(-1)
        nearest = (within[:, None] * (given + TINY)[None, :]).detach().reshape(-1)
        by_placement: dict[str, list[tuple[_Kind, Tensor, Tensor, bool]]] = {}
        for number in np.unique(kinds[kinds >= 0]):
            members = torch.from_numpy((kinds == number).nonzero()[0])
            sizes = torch.from_numpy(hidden[members.numpy()])
            own = joint[members]
            weight = own.sum()
            has_weight = float(weight.detach()) > 0
            conditional = proportions(own if has_weight else nearest[members])
            uniform = int(sizes.min()) == int(sizes.max())
            mask = survival(sizes.to(own.device), conditional)
            kind = self.kinds[number]
            by_placement.setdefault(kind.placement, []).append((kind, weight, mask, uniform))
        return {name: partial(_mixed_gate, given) for name, given in by_placement.items()}


class _Kind:
    """SE of one placement, squeeze and excitation, of any width."""

    def __init__(self, module: SqueezeExcitation, shared: SharedWeights) -> None:
        self.module = module
        self.placement = module.value.placement
        self.squeeze = module.value.squeeze
        self._expand, self._reduce = shared.layer(EXPAND), shared.layer(REDUCE)

    def gates(self, squeezed: Tensor, width: int, mask: Tensor, is_plain: bool) -> Tensor:
        """(N, width, 1, 1) or (N, width, H, W), of the hidden units under the mask."""
        hidden = len(mask)
        reduce, expand = self.module.reduce, self.module.expand
        weight = self._expand.tensor("weight")[:width, :hidden]
        bind(reduce, "weight", self._reduce.tensor("weight")[:hidden, :width])
        bind(expand, "weight", weight if is_plain else weight * mask)
        if self.module.value.bias:
            bind(reduce, "bias", self._reduce.tensor("bias")[:hidden])
            bind(expand, "bias", self._expand.tensor("bias")[:width])
        return self.module.excite(squeezed)


def _mixed_gate(given: Sequence[tuple[_Kind, Tensor, Tensor, bool]], x: Tensor) -> Tensor:
    """x times 1 + sum p (g(x) - 1)."""
    squeezed = {kind.squeeze: SQUEEZES[kind.squeeze](x) for kind, *_ in given}
    total: Tensor | float = 0.0
    for kind, weight, mask, is_plain in given:
        gates = kind.gates(squeezed[kind.squeeze], x.shape[1], mask, is_plain)
        total = total + weight * (gates - 1)
    return x * (1 + total)
