"""Gradient norm: how strongly one batch's loss pulls at the weights (Abdelfattah et al. 2021,
"Zero-Cost Proxies for Lightweight NAS", arXiv 2101.08134, section 3.2.1, grad_norm)."""

from __future__ import annotations

from torch import Tensor, nn

from senet_nas.proxies.core.gradients import weight_gradients
from senet_nas.proxies.core.restoring import borrowed


def score(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of the Euclidean norm of the loss' gradient by their weights."""
    with borrowed(network):
        return sum(float(g.norm()) for g in weight_gradients(network, images, labels))
