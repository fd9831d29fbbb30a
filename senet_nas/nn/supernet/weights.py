"""The weights that all variants of a cell at one place share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from senet_nas.nn.supernet.roles import (
    Layer,
    Shape,
    is_depthwise,
    part_for,
    roles,
    shared_shape,
    tensors,
)

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class SharedLayer(nn.Module):
    """The tensors of one role, as large as its largest variant has them."""

    def __init__(self, layers: Sequence[Layer]):
        super().__init__()
        self.depthwise = all(map(is_depthwise, layers))
        shapes: dict[str, Shape] = {}
        for layer in layers:
            for name in tensors(layer):
                shape = shared_shape(layer, name, self.depthwise)
                shapes[name] = tuple(map(max, shapes.get(name, shape), shape))
        for name, shape in shapes.items():
            if name in STATISTICS:
                kind = torch.int64 if name == "num_batches_tracked" else torch.float32
                self.register_buffer(name, torch.zeros(shape, dtype=kind))
            else:
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self._initialise()

    def _initialise(self) -> None:
        """As the network's layers start (`senet_nas.nn.network.initialise`)."""
        weight, bias = self._parameters["weight"], self._parameters.get("bias")
        assert weight is not None
        if "running_var" in self._buffers:
            nn.init.ones_(weight)
            nn.init.ones_(self.get_buffer("running_var"))
        elif weight.ndim == 4:
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        else:
            bound = weight.shape[1] ** -0.5
            nn.init.uniform_(weight, -bound, bound)
            if bias is not None:
                nn.init.uniform_(bias, -bound, bound)

    def tensor(self, name: str) -> Tensor:
        """A parameter or buffer by name."""
        found = self._parameters.get(name)
        return self.get_buffer(name) if found is None else found

    def part(self, layer: Layer, name: str) -> Tensor:
        """What one variant's layer has of a tensor."""
        return part_for(layer, name, self.tensor(name), self.depthwise)


class SharedWeights(nn.ModuleDict):
    """Shared layers by role, as large as the largest of the modules given."""

    def __init__(self, modules: Iterable[nn.Module]):
        super().__init__()
        layers: dict[str, list[Layer]] = {}
        for module in modules:
            for role, layer in roles(module).items():
                layers.setdefault(role, []).append(layer)
        for role, alike in layers.items():
            self[role] = SharedLayer(alike)

    def layer(self, role: str) -> SharedLayer:
        """The tensors of one role."""
        found = self[role]
        assert isinstance(found, SharedLayer)
        return found


def bind(layer: nn.Module, name: str, tensor: Tensor) -> None:
    """Let a layer compute with this tensor, which need not be a parameter."""
    if name in STATISTICS:
        layer._buffers[name] = tensor
    else:
        layer._parameters[name] = tensor  # type: ignore[assignment]


class Bound:
    """A module on the meta device, and where among shared weights its own stand.

    The module is never trained nor stored itself: before it runs, its tensors are replaced by
    parts of the shared ones.
    """

    def __init__(self, module: nn.Module, shared: SharedWeights) -> None:
        self.module = module
        self.norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
        self._places: list[tuple[Layer, str, SharedLayer]] = [
            (layer, name, shared.layer(role))
            for role, layer in roles(module).items()
            for name in tensors(layer)
        ]
        self._momentum = [norm.momentum for norm in self.norms]
        self.has_own_statistics = False

    def use(self, training: bool) -> nn.Module:
        """The module with the shared weights of now, in training or evaluation."""
        for layer, name, shared in self._places:
            if not (self.has_own_statistics and name in STATISTICS):
                bind(layer, name, shared.part(layer, name))
        if self.module.training != training:
            self.module.train(training)
        return self.module

    def own_statistics(self, own: bool) -> None:
        """Let batch norms begin statistics of their own, the plain mean over all that comes, or
        go back to the shared ones."""
        self.has_own_statistics = own
        for norm, momentum in zip(self.norms, self._momentum, strict=True):
            norm.momentum = None if own else momentum
        for layer, name, shared in self._places if own else ():
            if name in STATISTICS:
                like = shared.part(layer, name)
                fresh = torch.ones_like if name == "running_var" else torch.zeros_like
                layer._buffers[name] = fresh(like)
