"""The supernet: one network that has every network of a space in it.

Weight sharing: Pham et al. 2018, arXiv 1802.03268; elastic kernels, widths and depths: Cai et al.
2020, arXiv 1908.09791. Cells are the space's own (`senet_nas.nn.cells`), run over slices of shared
tensors: a subnet computes what the stand-alone network with these weights computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from search_space import Architecture, InputError, SearchSpace, Stage
from search_space.coverage import IMAGE_CHANNELS, coverage
from senet_nas.nn.network import Network, build_classifier, build_network
from senet_nas.nn.supernet.place import SharedPlace, Step
from senet_nas.nn.supernet.weights import Bound, SharedWeights


class Supernet(nn.Module):
    """Images (N, 3, H, W) to logits (N, num_classes), by the network of `choose`.

    Its state dict has the shared weights alone. Weights are drawn from torch's global generator.
    Raises `InputError` for a space that `search_space.coverage.coverage` refuses.
    """

    def __init__(self, space: SearchSpace, num_classes: int):
        super().__init__()
        self.space = space
        self.num_classes = num_classes
        self.coverage = coverage(space)
        eps = self.coverage.norm_eps
        self.places = nn.ModuleDict(
            {_key(place.path): SharedPlace(place, eps) for place in self.coverage.places}
        )
        self._classifiers: dict[int, Bound] = {}
        widths = self.coverage.last_widths()
        modules = {width: self._meta_classifier(width) for width in widths}
        self.classifier = SharedWeights(modules.values())
        self._classifiers = {w: Bound(module, self.classifier) for w, module in modules.items()}
        self._steps: list[Step] = []
        self._last: Bound | None = None
        self.architecture: Architecture | None = None

    def _meta_classifier(self, width: int) -> nn.Module:
        headed = Architecture(Stage(()), (), self.coverage.head)
        with torch.device("meta"):
            return build_classifier(headed, width, self.num_classes)

    def place(self, path: str) -> SharedPlace:
        """The shared weights at a block's path. Raises `InputError` where no block stands."""
        key = _key(path)
        if key not in self.places:
            raise InputError(f"{path}: networks of {self.space.name!r} have no block there")
        place = self.places[key]
        assert isinstance(place, SharedPlace)
        return place

    def last(self, width: int) -> Bound:
        """The classifier that reads so many channels."""
        return self._classifiers[width]

    def choose(self, architecture: Architecture) -> None:
        """Let `forward` run this network. Raises `InputError` where it isn't of the space."""
        steps, width = [], IMAGE_CHANNELS
        for path, block in architecture.blocks():
            steps.append(self.place(path).chosen(block, width))
            width = block.channels
        self._steps, self._last = steps, self.last(width)
        self.architecture = architecture

    def forward(self, x: Tensor) -> Tensor:
        assert self._last is not None, "choose a network first"
        for step in self._steps:
            x = step.use(self.training)(x)
        logits: Tensor = self._last.use(self.training)(x.mean((2, 3)))
        return logits

    @contextmanager
    def own_statistics(self) -> Iterator[None]:
        """Within, batch norms of the chosen network have statistics of their own: the plain mean
        over all batches that it sees in training mode. The shared ones stay as they are."""
        bound = [one for step in self._steps for one in step.bound]
        for one in bound:
            one.own_statistics(True)
        try:
            yield
        finally:
            for one in bound:
                one.own_statistics(False)

    @torch.no_grad()
    def subnet(self, architecture: Architecture, image_size: int = 224) -> Network:
        """A network of its own with a copy of the weights, and of the statistics, that the
        chosen one has here; it computes the same."""
        self.choose(architecture)
        return self.chosen_network(image_size)

    @torch.no_grad()
    def chosen_network(self, image_size: int = 224) -> Network:
        """The same of the network chosen already, within `own_statistics` with these."""
        assert self._last is not None and self.architecture is not None
        network = build_network(self.architecture, self.num_classes, image_size)
        device = next(self.parameters()).device
        network.to(device)
        paths = [path for path, _ in self.architecture.blocks()]
        for path, step in zip(paths, self._steps, strict=True):
            block = network.get_submodule(path.replace(".blocks.", "."))
            block.load_state_dict(step.use(self.training).state_dict())
        network.classifier.load_state_dict(self._last.use(self.training).state_dict())
        return network.train(self.training)


def _key(path: str) -> str:
    """A path as a module's name, which has no dots."""
    return path.replace(".", "_")
