"""NASWOT: a network that tells untrained images apart by which units are on (Mellor et al. 2021,
"Neural Architecture Search without Training", ICML, arXiv 2006.04647, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space import InputError
from senet_nas.proxies.core.restoring import borrowed

# The paper has ReLU alone; all of these are positive exactly where their input is.
SWITCHES = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU)


def score(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log |det K|, where K[i, j] counts the units that are both on or both off for images i and j.

    Minus infinity where two images switch the same units. Raises `InputError` for a network
    without any activation.
    """
    del labels
    count = len(images)
    kernel = torch.zeros(count, count, dtype=torch.float64, device=images.device)

    def add_agreement(module: nn.Module, inputs: object, output: Tensor) -> None:
        # As +1 and -1: a product is 1 where two images agree, so K = (units + product sum) / 2.
        # Whole numbers: exact in float32 up to 2^24 units of a layer.
        codes = (output > 0).flatten(1).float()
        signs = 2 * codes - 1
        kernel.add_((signs.shape[1] + signs @ signs.T).double() / 2)

    switches = [module for module in network.modules() if isinstance(module, SWITCHES)]
    if not switches:
        raise InputError("naswot needs a network with activations such as relu; this has none")
    hooks = [module.register_forward_hook(add_agreement) for module in switches]
    try:
        with borrowed(network), torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet)
