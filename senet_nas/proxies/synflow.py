"""Synaptic flow: how much the weights let through, whatever the images (Tanaka et al. 2020,
"Pruning neural networks without any data by iteratively conserving synaptic flow", arXiv
2006.05467, equation 2), summed over a network as in arXiv 2101.08134, section 3.2.2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from senet_nas.nn import SqueezeExcitation
from senet_nas.proxies.core.restoring import borrowed

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.Hardswish, nn.GELU)


def score(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log of the sum over weights of convolutions and linear layers of w * dR/dw, where R is the
    sum of the outputs for an image of ones with every parameter replaced by its absolute value.

    The network is made linear, as the paper's conservation needs it: norms don't normalise, and
    activations are the identity, which ReLU is on what is positive anyway. A gate counts as at
    most one, or the flow through SE with ReLU as its excitation would grow beyond any number.
    Only the shape of the images counts. Minus infinity where nothing flows.
    """
    del labels
    with borrowed(network), _linear(network):
        network.eval()
        for tensor in chain(network.parameters(), network.buffers()):
            if tensor.is_floating_point():
                tensor.data = tensor.data.double()  # not network.double(): it makes new buffers
        for parameter in network.parameters():
            parameter.data.abs_()
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        weights = [layer.weight for layer in layers if layer.weight.requires_grad]
        ones = torch.ones(1, *images.shape[1:], dtype=torch.float64, device=images.device)
        gradients = torch.autograd.grad(network(ones).sum(), weights, allow_unused=True)
        pairs = zip(weights, gradients, strict=True)
        flow = sum(float((w.detach() * g).sum()) for w, g in pairs if g is not None)
    return math.log(flow) if flow > 0 else -math.inf


@contextmanager
def _linear(network: nn.Module) -> Iterator[None]:
    """Inside, activations and gates are as `score` says; the norms stay so."""
    replaced: list[tuple[nn.Module, str, Any]] = []

    def replace(module: nn.Module, name: str, function: Callable[[Tensor], Tensor]) -> None:
        replaced.append((module, name, vars(module).get(name)))
        setattr(module, name, function)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.zero_()
            module.running_var.fill_(1)
        elif isinstance(module, ACTIVATIONS):
            replace(module, "forward", lambda x: x)
        elif isinstance(module, SqueezeExcitation):
            replace(module, "gates", partial(_gates_up_to_one, module))
    try:
        yield
    finally:
        for module, name, own in replaced:
            delattr(module, name)
            if own is not None:
                setattr(module, name, own)


def _gates_up_to_one(module: SqueezeExcitation, x: Tensor) -> Tensor:
    return SqueezeExcitation.gates(module, x).clamp(max=1)
