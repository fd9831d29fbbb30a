"""Inception modules of another library as the cell `inception`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from search_space import Block
from senet_nas.nn.branches import POOLINGS
from senet_nas.nn.foreign.layers import Foreign, Layer, Reader
from senet_nas.nn.foreign.reading import Part, differing

# A pooling's name, or the convolutions of one input: more than one where several are put together.
Step = str | tuple[Layer, ...]
Branch = Sequence[Step]


def named_branches(reader: Reader, module: Foreign, text: str) -> list[list[Step]]:
    """The branches that a text names: modules in the order in which they run, and poolings that
    are functions. `a | b c, d+e` puts c behind b, and the outputs of d and e together."""
    return [
        [step for name in branch.split() for step in _steps(reader, module, name)]
        for branch in text.split("|")
    ]


def _steps(reader: Reader, module: Foreign, name: str) -> Iterator[Step]:
    if name in POOLINGS:
        yield name
        return
    modules = [module.get_submodule(one) for one in name.split("+")]
    if len(modules) == 1:
        yield from steps(reader, modules[0])
        return
    yield tuple(layer for one in modules for layer in reader.layers(one))


def steps(reader: Reader, branch: nn.Module) -> list[Step]:
    """What runs in a module, in order."""
    modules = branch.children() if isinstance(branch, nn.Sequential) else (branch,)
    found: list[Step] = []
    for module in modules:
        if isinstance(module, nn.MaxPool2d):
            found.append("max")
        elif isinstance(module, nn.AvgPool2d):
            found.append("padded_avg" if module.count_include_pad else "avg")
        else:
            found += [(layer,) for layer in reader.layers(module)]
    return found


def layers_of(branches: Sequence[Branch]) -> list[Layer]:
    """All convolutions, in order."""
    return [
        layer
        for branch in branches
        for step in branch
        if not isinstance(step, str)
        for layer in step
    ]


def inception(branches: Sequence[Branch]) -> Part:
    """The cell `inception`."""
    layers = layers_of(branches)
    in_channels = layers[0].conv.in_channels
    padding = "valid" if any(_lacks_padding(layer) for layer in layers) else "same"
    block = Block(
        "inception",
        sum(_width(branch, in_channels) for branch in branches),
        max(layer.stride for layer in layers),
        activation=layers[0].activation,
        extra=(("branches", branches_text(branches)), *differing(padding=(padding, "same"))),
    )
    return Part(block, in_channels, {"head": [m for layer in layers for m in layer.modules()]})


def branches_text(branches: Sequence[Branch], kernel: int = 0) -> str:
    """As `senet_nas.nn.branches` reads it; kernel: the size that is written as k."""
    return ", ".join(" ".join(_word(step, kernel) for step in branch) for branch in branches)


def _word(step: Step, kernel: int) -> str:
    if isinstance(step, str):
        return step
    return "+".join(_convolution_word(layer, kernel) for layer in step)


def _convolution_word(layer: Layer, kernel: int) -> str:
    rows, columns = ("k" if 1 < kernel == size else str(size) for size in layer.kernel)
    return f"{rows}x{columns}-{layer.conv.out_channels}"


def _width(branch: Branch, in_channels: int) -> int:
    convolutions = [step for step in branch if not isinstance(step, str)]
    return (
        sum(layer.conv.out_channels for layer in convolutions[-1]) if convolutions else in_channels
    )


def _lacks_padding(layer: Layer) -> bool:
    return layer.padding == "valid" and layer.kernel != (1, 1)
