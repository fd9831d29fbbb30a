"""ZiCo: weights whose gradients are large and alike in all batches train fast (Li et al. 2023,
"ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", arXiv 2301.11300)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from senet_nas.proxies.core.gradients import weight_gradients
from senet_nas.proxies.core.restoring import borrowed

BATCHES = 2  # as the paper has it


def score(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of log of the sum over weights of E|g| / sqrt(Var|g|), with E and Var
    over two halves of the images. Weights whose |g| is the same in both, dead ones among them,
    count nothing, and neither does a layer of such weights alone."""
    with borrowed(network):
        halves = zip(images.chunk(BATCHES), labels.chunk(BATCHES), strict=True)
        gradients = [weight_gradients(network, *half) for half in halves]
    total = 0.0
    for of_layer in zip(*gradients, strict=True):
        sizes = torch.stack(of_layer).abs()
        mean, deviation = sizes.mean(0), sizes.std(0, correction=0)
        ratios = torch.where(deviation > 0, mean / deviation, 0)
        ratio = float(ratios.sum(dtype=torch.float64))
        total += math.log(ratio) if ratio > 0 else 0.0
    return total
