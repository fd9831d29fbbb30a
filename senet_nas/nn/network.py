"""From an architecture to an `nn.Module`."""

from __future__ import annotations

from torch import Tensor, nn

from search_space import Architecture, Block, InputError
from search_space.registry import lookup
from senet_nas.nn.layers import ACTIVATIONS


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


def build_network(architecture: Architecture, num_classes: int, image_size: int = 224) -> Network:
    """The network of an architecture for images of (3, image_size, image_size).

    Weights are drawn from torch's global generator. Raises `InputError` for an unknown cell, for
    settings that the cell doesn't allow, and for images smaller than the network's stride.
    """
    if num_classes < 1:
        raise InputError(f"num_classes must be at least 1, not {num_classes}")
    architecture.check_image_size(image_size)
    return Network(architecture, num_classes)


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
        layers += [nn.Linear(width, head.hidden), ACTIVATIONS[head.activation]()]
    if head.dropout:
        layers.append(nn.Dropout(head.dropout))
    return nn.Sequential(*layers, nn.Linear(head.hidden or width, num_classes))


def initialise(network: nn.Module) -> None:
    """He initialisation of convolutions (arXiv 1502.01852, fan-out); norms and linear layers
    start as torch starts them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
