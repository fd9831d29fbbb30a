"""A network that a proxy may use as it likes, and that is afterwards what it was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from torch import nn


@contextmanager
def borrowed(network: nn.Module) -> Iterator[None]:
    """Inside, parameters and buffers are copies without gradients, in training mode; afterwards
    values, dtypes, gradients and modes are those of before."""
    modes = [(module, module.training) for module in network.modules()]
    values = [(each, each.data) for each in chain(network.parameters(), network.buffers())]
    gradients = [(each, each.grad) for each in network.parameters()]
    for tensor, data in values:
        tensor.data = data.clone()
    for parameter, _ in gradients:
        parameter.grad = None
    network.train()
    try:
        yield
    finally:
        for parameter, _ in gradients:
            parameter.grad = None  # it may be of another dtype than the parameter will be
        for tensor, data in values:
            tensor.data = data
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, mode in modes:
            module.training = mode
