"""What tests of the fused path share: units in one precision and another, and their differences."""

from copy import deepcopy

import torch
from torch import nn

from senet_nas.nn.fused import disabled, pending

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def randomised(unit, generator):
    """A module whose norms are none of those that a network starts with."""
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -1.0, 1.0),
                (module.running_mean, -1.0, 1.0),
                (module.running_var, 0.5, 2.0),
            ):
                tensor.uniform_(low, high, generator=generator)
    return unit


def outcomes(unit, x, weights, dtype=torch.float32):
    """Output, all gradients and all statistics of a unit, for the loss sum(y * weights)."""
    unit = deepcopy(unit)
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        y = unit(x)
    (y * weights.to(y.dtype)).sum().backward()
    found = {"y": y.detach(), "x.grad": x.grad}
    found |= {f"{name}.grad": p.grad for name, p in unit.named_parameters()}
    return found | {n: b for n, b in unit.named_buffers() if b.is_floating_point()}


def exact(unit, x, weights):
    """The same by plain modules in float64."""
    with disabled():
        return outcomes(deepcopy(unit).double(), x.double(), weights.double())


def distances(found, wanted):
    """By name, the largest difference over the largest value that there is of its kind: gradients
    of parameters among themselves, since some of them are zero but for rounding."""
    kinds = {
        name: "parameters" if name.endswith(("weight.grad", "bias.grad")) else name
        for name in wanted
    }
    largest = dict.fromkeys(kinds.values(), 1e-6)
    for name, kind in kinds.items():
        largest[kind] = max(largest[kind], float(wanted[name].abs().max()))
    return {
        name: float((found[name].double() - wanted[name]).abs().max()) / largest[kind]
        for name, kind in kinds.items()
    }


class Calls:
    """Counts what runs fused."""

    def __init__(self, monkeypatch):
        self.made = []
        plain = pending.normalise

        def counted(x, norm, kernels, **what):
            self.made.append(what)
            return plain(x, norm, kernels, **what)

        monkeypatch.setattr(pending, "normalise", counted)
