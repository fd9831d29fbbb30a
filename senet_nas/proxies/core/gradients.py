"""Gradients of the loss of untrained networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def weight_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """The gradient of the mean cross-entropy by the weight of each convolution and linear layer
    that the network uses, in the order of its modules. Leaves `grad` as it is.

    images: (N, 3, H, W). labels: (N,).
    """
    layers = (m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    weights = [layer.weight for layer in layers if layer.weight.requires_grad]
    loss = F.cross_entropy(network(images), labels)
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]
