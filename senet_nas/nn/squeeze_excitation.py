"""The Squeeze-and-Excitation block (arXiv 1709.01507, section 3, equations 2 to 4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_space import SE
from senet_nas.nn.layers import ACTIVATIONS

EXCITATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
}

# The same, moved or scaled so that zero gives one.
NEUTRAL_EXCITATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda u: 2 * torch.sigmoid(u),
    "hard_sigmoid": lambda u: 2 * F.hardsigmoid(u),
    "tanh": lambda u: 1 + torch.tanh(u),
    "relu": lambda u: F.relu(1 + u),
}

MIRRORED_WEIGHT = 2.0**-7  # a power of two: its products are exact

# To (N, C), or for NoSqueeze (section 7.1) to (N, H, W, C): linear layers act on the last axis,
# so that over the full map they are the paper's 1x1 convolutions.
SQUEEZES: dict[str, Callable[[Tensor], Tensor]] = {
    "avg": lambda x: x.mean((2, 3)),
    "max": lambda x: x.amax((2, 3)),
    "none": lambda x: x.permute(0, 2, 3, 1),
}


class SqueezeExcitation(nn.Module):
    """x: (N, C, H, W) to x * s, with s = excitation(W2 activation(W1 squeeze(x))).

    channels: C. se: reduction, operators and biases. input_channels: the width of the input of
    the block around it, which `se.base == "input"` divides; C where it isn't given.
    """

    def __init__(self, channels: int, se: SE | None = None, input_channels: int | None = None):
        super().__init__()
        self.value = se or SE()
        hidden = self.value.hidden_channels(channels, input_channels or channels)
        self.reduce = nn.Linear(channels, hidden, bias=self.value.bias)
        self.act = ACTIVATIONS[self.value.activation]()
        self.expand = nn.Linear(hidden, channels, bias=self.value.bias)
        if self.value.neutral:
            self.mirror()

    def gates(self, x: Tensor) -> Tensor:
        """s for x: (N, C, H, W), as (N, C, 1, 1), or (N, C, H, W) without a squeeze."""
        return self.excite(SQUEEZES[self.value.squeeze](x))

    def excitation(self, squeezed: Tensor) -> Tensor:
        """s for what the squeeze gives, in the same shape: (N, C), or (N, H, W, C) without one."""
        excited = self.expand(self.act(self.reduce(squeezed)))
        excitations = NEUTRAL_EXCITATIONS if self.value.neutral else EXCITATIONS
        return excitations[self.value.excitation](excited)

    def excite(self, squeezed: Tensor) -> Tensor:
        """`excitation`, shaped to multiply the map with."""
        scale = self.excitation(squeezed)
        if self.value.squeeze == "none":
            return scale.permute(0, 3, 1, 2)
        return scale[:, :, None, None]

    @torch.no_grad()
    def mirror(self) -> None:
        """Weights with which the second layer gives zero for every input, and yet all learn.

        Hidden units stand in pairs of equal weights, and each channel reads one pair with
        opposite signs (the antisymmetric initialisation of arXiv 1812.07956, section 2.2).
        Zeros alone would give zero too, but no gradient to the first layer. A hidden unit
        without a partner stays unread at first. Every other pair is another's negative: of the
        two a ReLU lets one through, and so with four hidden units or more no SE starts dead.
        """
        pairs = self.reduce.out_features // 2
        opposed = pairs // 2
        for tensor in (self.reduce.weight, self.reduce.bias):
            if tensor is not None:
                tensor[opposed : 2 * opposed] = -tensor[:opposed]
                tensor[pairs : 2 * pairs] = tensor[:pairs]
        for tensor in (self.expand.weight, self.expand.bias):
            if tensor is not None:
                tensor.zero_()
        if pairs:
            channel = torch.arange(self.expand.out_features, device=self.expand.weight.device)
            self.expand.weight[channel, channel % pairs] = MIRRORED_WEIGHT
            self.expand.weight[channel, channel % pairs + pairs] = -MIRRORED_WEIGHT

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)

    def extra_repr(self) -> str:
        return self.value.label()
