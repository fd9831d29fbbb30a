"""From an architecture to an `nn.Module`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import overload

import torch
from torch import Tensor, nn

from search_space import Architecture, Block, Blueprint, InputError, Retrofit
from search_space.registry import lookup
from senet_nas.nn.layers import ACTIVATIONS

Map = tuple[int, int, int]  # channels, height, width


class Network(nn.Module):
    """Images (N, 3, H, W) to logits (N, num_classes): stem, stages, head, pooling, classifier."""

    def __init__(self, architecture: Architecture, num_classes: int):
        super().__init__()
        self.architecture = architecture
        self.stem, width = build_blocks("stem", architecture.stem.blocks, 3)
        stages = []
        for number, stage in enumerate(architecture.stages):
            built, width = build_blocks(f"stages.{number}", stage.blocks, width)
            stages.append(built)
        self.stages = nn.Sequential(*stages)
        self.head, width = build_blocks("head", architecture.head.blocks, width)
        self.classifier = build_classifier(architecture, width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = architecture.norm_eps
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(self.stages(self.stem(x)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


@overload
def build_network(
    architecture: Architecture, num_classes: int, image_size: int = 224
) -> Network: ...


@overload
def build_network(
    architecture: Blueprint, num_classes: int, image_size: int = 224
) -> nn.Module: ...


def build_network(architecture: Blueprint, num_classes: int, image_size: int = 224) -> nn.Module:
    """The network of an architecture, or a retrofitted one, for images of
    (3, image_size, image_size).

    Weights are drawn from torch's global generator. Raises `InputError` for an unknown cell, for
    settings that the cell doesn't allow, and for images that are too small for the network.
    """
    if num_classes < 1:
        raise InputError(f"num_classes must be at least 1, not {num_classes}")
    if isinstance(architecture, Retrofit):
        from senet_nas.nn.foreign.retrofitted import build_retrofit

        return build_retrofit(architecture, num_classes)
    architecture.check_image_size(image_size)
    network = Network(architecture, num_classes)
    if any(map(_lacks_padding, network.modules())):
        check_maps(architecture, image_size)
    return network


def _lacks_padding(module: nn.Module) -> bool:
    """Whether a map can be large enough for a layer's stride and yet too small for the layer."""
    size, padding = (getattr(module, name, None) for name in ("kernel_size", "padding"))
    return size not in (None, 1, (1, 1)) and padding in (0, (0, 0))


def check_maps(architecture: Architecture, image_size: int) -> None:
    """Raise `InputError` at the first block whose map, for images of this side, is too small."""
    shape = (3, image_size, image_size)
    for path, block in architecture.blocks():
        try:
            shape = map_after(block, shape)
        except InputError as error:
            raise InputError(f"image_size {image_size}: {path}: {error}") from None


def map_after(block: Block, shape: Map) -> Map:
    """The map that a block makes of one of this shape, found on torch's meta device."""
    return _map_after(block if block.se is None else replace(block, se=None), shape)


@cache
def _map_after(block: Block, shape: Map) -> Map:
    with torch.device("meta"):
        module = build_block(block, shape[0]).eval()
    with torch.no_grad(), refusals(shape):
        channels, height, width = module(torch.empty(1, *shape, device="meta")).shape[1:]
    return channels, height, width


@contextmanager
def refusals(shape: Map) -> Iterator[None]:
    """Turn torch's refusal to run on a map of this shape into an `InputError`."""
    try:
        yield
    except NotImplementedError:  # an operation that the meta device lacks
        raise
    except RuntimeError as error:
        size = "x".join(str(side) for side in shape)
        reason = str(error).splitlines()[0]
        raise InputError(f"does not take a map of {size}: {reason}") from None


def build_block(block: Block, in_channels: int) -> nn.Module:
    """The module of one block. Raises `InputError` for what its cell doesn't know or allow."""
    cell: nn.Module = lookup("senet_nas.nn.cells", block.cell, "cell").Cell(block, in_channels)
    return cell


def build_blocks(
    where: str, blocks: tuple[Block, ...], in_channels: int
) -> tuple[nn.Sequential, int]:
    """Blocks in a row, and the width after the last of them."""
    modules = []
    for index, block in enumerate(blocks):
        try:
            modules.append(build_block(block, in_channels))
        except InputError as error:
            raise InputError(f"{where}.{index}: {error}") from None
        in_channels = block.channels
    return nn.Sequential(*modules), in_channels


def build_classifier(architecture: Architecture, width: int, num_classes: int) -> nn.Sequential:
    """(N, width) to (N, num_classes), by way of the head's hidden layer where it has one."""
    head = architecture.head
    layers: list[nn.Module] = []
    if head.hidden:
        layers += [nn.Linear(width, head.hidden, head.hidden_bias), ACTIVATIONS[head.activation]()]
    if head.dropout:
        layers.append(nn.Dropout(head.dropout))
    return nn.Sequential(*layers, nn.Linear(head.hidden or width, num_classes))


def initialise(network: nn.Module) -> None:
    """He initialisation of convolutions (arXiv 1502.01852, fan-out); norms and linear layers
    start as torch starts them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
