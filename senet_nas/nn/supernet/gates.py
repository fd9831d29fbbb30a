"""The weights that the SE options of a place share.

Options that gate the same map with the same kind of excitation share their two layers: a larger r
has the first of their hidden units (`reduce` by rows, `expand` by columns), and every squeeze reads
the same channels. tanh, relu and sigmoids mean different numbers by the same weights, so these have
weights of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from search_space import SE
from senet_nas.nn.placement import PLACEMENTS
from senet_nas.nn.squeeze_excitation import SqueezeExcitation
from senet_nas.nn.supernet.weights import Bound, SharedWeights

ALIKE = {"hard_sigmoid": "sigmoid"}  # a straight line through the other
EXPAND, REDUCE = "gate_linear_0", "gate_linear_1"  # by the roles that a child's layers have
# The bias with which a sigmoid's gates begin near one: a block learns at first as without SE,
# whose weights are the same, where gates of a half would let it learn at half the size.
NEAR_ONE = 2.0


def sharing_key(se: SE) -> str:
    """What options must have in common to share weights, as a name."""
    excitation = ALIKE.get(se.excitation, se.excitation)
    parts = [PLACEMENTS[se.placement].gates, excitation]
    parts += ["neutral"] * se.neutral + [se.activation] * (se.activation != "relu")
    parts += ["no_bias"] * (not se.bias)
    return "_".join(parts)


class _Layers(nn.Module):
    """An SE block as a child, whose layers then have roles."""

    def __init__(self, block: SqueezeExcitation):
        super().__init__()
        self.gate = block


class SharedGates(nn.ModuleDict):
    """Shared weights of SE by `sharing_key`."""

    def __init__(self, wanted: Iterable[tuple[SE, int, int]]):
        """wanted: SE values, each with the width that it acts on and the block's input width."""
        super().__init__()
        groups: dict[str, dict[tuple[int, int], tuple[SE, int, int]]] = {}
        for se, width, in_channels in wanted:
            shape = width, se.hidden_channels(width, in_channels)
            groups.setdefault(sharing_key(se), {})[shape] = se, width, in_channels
        for key, distinct in groups.items():
            self[key] = SharedWeights(_meta(*one) for one in distinct.values())
            se, *_ = next(iter(distinct.values()))  # what counts here is the same for all of a key
            if se.bias and not se.neutral and ALIKE.get(se.excitation, se.excitation) == "sigmoid":
                nn.init.constant_(self.weights(key).layer(EXPAND).tensor("bias"), NEAR_ONE)
        self._bound: dict[tuple[SE, int, int], Bound] = {}

    def bound(self, se: SE, width: int, in_channels: int) -> Bound:
        """An SE block of a width; its `module.gate` is the block."""
        key = se, width, in_channels
        if key not in self._bound:
            self._bound[key] = Bound(_meta(*key), self.weights(sharing_key(se)))
        return self._bound[key]

    def weights(self, key: str) -> SharedWeights:
        """Those of the options with this `sharing_key`."""
        found = self[key]
        assert isinstance(found, SharedWeights)
        return found


def _meta(se: SE, width: int, in_channels: int) -> _Layers:
    return _Layers(meta_gate(se, width, in_channels))


def meta_gate(se: SE, width: int, in_channels: int) -> SqueezeExcitation:
    """An SE block on the meta device."""
    with torch.device("meta"):
        return SqueezeExcitation(width, se, in_channels)
