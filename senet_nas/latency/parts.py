"""The parts of which a network's latency is the sum."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor, nn

from search_space import Architecture, Block, Blueprint, Head, InputError, Stage
from search_space.values import block_to_data
from senet_nas.latency.measuring import Timed
from senet_nas.nn.network import Map, build_block, build_classifier, initialise, map_after


@dataclass(frozen=True, slots=True)
class Part:
    """A block and the map that it reads, or (block None) the average and the classifier."""

    block: Block | None
    head: Head | None
    before: Map
    classes: int

    @property
    def key(self) -> str:
        """The part's name in a table."""
        return _key(self)

    @property
    def after(self) -> Map | None:
        """The map that it makes, where there is one."""
        return None if self.block is None else map_after(self.block, self.before)


def parts_of(network: Blueprint, image_size: int, classes: int) -> Iterator[Part]:
    """A network's parts in the order in which they run.

    Raises `InputError` for a retrofitted network, whose parts aren't blocks, and for one that
    can't be built for the image size.
    """
    if not isinstance(network, Architecture):
        raise InputError("a latency table is of networks made of blocks, not of retrofitted ones")
    network.check_image_size(image_size)
    shape: Map = (3, image_size, image_size)
    for path, block in network.blocks():
        yield block_part(block, shape)
        try:
            shape = map_after(block, shape)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    yield classifier_part(network.head, shape, classes)


def block_part(block: Block, before: Map) -> Part:
    """A block that reads a map."""
    return Part(block, None, before, 0)


def classifier_part(head: Head, before: Map, classes: int) -> Part:
    """What stands behind the last block, and the map that it reads."""
    return Part(None, replace(head, blocks=()), before, classes)


@cache
def _key(part: Part) -> str:
    if part.block is not None:
        what = json.dumps(block_to_data(part.block), separators=(",", ":"))
    else:
        assert part.head is not None
        hidden = f"{part.head.hidden} {part.head.activation} " if part.head.hidden else ""
        what = f"classifier {hidden}{part.classes}"
    return f"{what} of {'x'.join(map(str, part.before))}"


def timed(part: Part) -> Timed:
    """The part's module, weights as a network's at its start, and the shape that it reads."""
    width = part.before[0]
    if part.block is not None:
        module = build_block(part.block, width)
    else:
        assert part.head is not None
        network = Architecture(Stage(()), (), part.head)
        module = _Classifier(build_classifier(network, width, part.classes))
    initialise(module)
    return module, part.before


class _Classifier(nn.Module):
    """What `Network` does behind its last block."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits
