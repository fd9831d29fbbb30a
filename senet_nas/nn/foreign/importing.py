"""Another library's network as one of ours, with its weights, and shown to compute the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from search_space import Architecture, InputError
from search_space.errors import RunError
from search_space.registry import lookup, names
from senet_nas.nn.foreign.layers import REGULARISERS
from senet_nas.nn.foreign.reading import MAPS, Part, Reading
from senet_nas.nn.network import Network, build_network

FAMILIES = "senet_nas.nn.foreign.families"
TOLERANCE = 1e-5  # of the logits' largest magnitude
# In pixels, the first that the model takes: small, and soon odd, which tells paddings apart.
IMAGE_SIZES = (72, 104)
BATCH = 2

# They train with the network, and nothing of them is in its logits.
AUXILIARY_HEADS = ("aux1", "aux2", "AuxLogits")

Pair = tuple[nn.Module, nn.Module]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


def read_network(model: nn.Module) -> Reading:
    """What the model is in our terms.

    Raises `InputError` where no family knows the model, naming those that there are, and where a
    part of it isn't expressible, naming that.
    """
    for family in names(FAMILIES):
        reading = lookup(FAMILIES, family, "family").read(model)
        if reading is not None:
            return checked(reading)
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise InputError(f"{kind} is of no family that can be imported ({', '.join(names(FAMILIES))})")


def import_network(model: nn.Module, image_size: int = 224) -> tuple[Network, Architecture]:
    """A network of ours that computes what the model does, in evaluation mode on the CPU, and its
    architecture. The model stays as it is.

    image_size: at which to compare too, beside small images. Raises `InputError` for a model that
    isn't expressible or takes no such images, `RunError` where the outputs differ after all.
    """
    reading = read_network(model)
    architecture = reading.architecture()
    network = build_network(architecture, reading.classifier.get_parameter("weight").shape[0])
    transfer(network, reading)
    compare(network, model, image_size)
    return network.eval(), architecture


def weight_names(model: nn.Module) -> dict[str, str]:
    """The names of our network's weights, and those of the model's that they are copies of.

    A linear layer's weight may be a 1x1 convolution's there, of the same numbers.
    """
    reading = read_network(model)
    with torch.device("meta"):
        network = build_network(
            reading.architecture(), reading.classifier.get_parameter("weight").shape[0]
        )
    own = {module: name for name, module in network.named_modules()}
    foreign = {module: name for name, module in model.named_modules()}
    return {
        f"{own[ours]}.{key}": f"{foreign[theirs]}.{key}"
        for ours, theirs in pairs(network, reading)
        for key in ours.state_dict()
    }


def checked(reading: Reading) -> Reading:
    """The reading. Raises `InputError` where the first convolution doesn't take three channels."""
    first = next(iter(reading.parts()))
    if first.in_channels != 3:
        raise InputError(f"the network takes {first.in_channels} channels, ours take 3")
    return reading


def pairs(network: Network, reading: Reading) -> Iterator[Pair]:
    """Each layer of ours that has weights, and the one that it takes them from."""
    units = [
        *network.stem,
        *(unit for stage in network.stages.children() for unit in stage.children()),
        *network.head,
    ]
    for unit, part in zip(units, reading.parts(), strict=True):
        yield from _unit_pairs(unit, part)
    linear = [m for m in network.classifier if isinstance(m, nn.Linear)]
    hidden = [] if reading.hidden is None else [reading.hidden[0]]
    yield from zip(linear, [*hidden, reading.classifier], strict=True)


def _unit_pairs(unit: nn.Module, part: Part) -> Iterator[Pair]:
    for name in MAPS:
        map_ = getattr(unit, name, None)
        layers = [] if map_ is None else [m for m in map_.modules() if m._parameters]
        sources = part.sources.get(name, ())
        if len(layers) != len(sources):
            raise InputError(
                f"cell {part.block.cell!r} has {len(layers)} layers in its {name}, "
                f"the network {len(sources)}"
            )
        yield from zip(layers, sources, strict=True)
    if part.squeeze is not None:
        yield unit.get_submodule("se.reduce"), part.squeeze.reduce
        yield unit.get_submodule("se.expand"), part.squeeze.expand


@torch.no_grad()
def _copy(ours: nn.Module, theirs: nn.Module) -> None:
    source = theirs.state_dict()
    for key, tensor in ours.state_dict().items():
        given = source.get(key)
        if given is None or given.numel() != tensor.numel() or given.shape[:1] != tensor.shape[:1]:
            shape = None if given is None else list(given.shape)
            raise InputError(f"{type(theirs).__name__}.{key} is {shape}, not {list(tensor.shape)}")
        tensor.copy_(given.reshape(tensor.shape))


def transfer(network: Network, reading: Reading) -> None:
    """Give our network the weights of the one that was read."""
    for ours, theirs in pairs(network, reading):
        _copy(ours, theirs)


def compare(network: Network, model: nn.Module, image_size: int) -> None:
    """Raise `RunError` where the two differ on random images, in evaluation or in training.

    On small images, and in evaluation on one of image_size too: some networks differ on large maps
    alone. In double precision, in which only a real difference shows, and in training without what
    is random there, and with other norms, since those of a new network hide a branch whose last
    scale begins at zero. Both stay as they are.
    """
    ours, theirs = _twin(network), _twin(model)
    _same(f"evaluation at {image_size} pixels", *_evaluated(ours, theirs, _images(image_size, 1)))
    images = _small_images(theirs, image_size)
    _same("evaluation", *_evaluated(ours, theirs, images))
    _stir(theirs)
    transfer(ours, read_network(theirs))
    _same("training", *(_logits(twin, images, training=True) for twin in (ours, theirs)))


def _same(mode: str, found: Tensor, expected: Tensor) -> None:
    if found.shape != expected.shape:
        raise RunError(f"logits are {list(found.shape)}, not {list(expected.shape)}")
    difference = ((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12)).item()
    if not difference <= TOLERANCE:  # NaN too
        raise RunError(f"what was read computes something else in {mode}: {difference:.1e}")


def _twin(model: AnyModule) -> AnyModule:
    twin = copy.deepcopy(model).cpu().double()
    for module in twin.modules():
        if hasattr(module, "drop_rate"):  # timm's dropout by a function
            setattr(module, "drop_rate", 0.0)  # noqa: B010
        if getattr(module, "aux_logits", False):  # torchvision's Inceptions
            setattr(module, "aux_logits", False)  # noqa: B010
            for name in AUXILIARY_HEADS:
                setattr(module, name, None)
    return twin


@torch.no_grad()
def _stir(model: nn.Module) -> None:
    """Norms with scales and shifts of their own."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.normal_(0, 0.1, generator=generator)


def _evaluated(ours: nn.Module, theirs: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    try:
        expected = _logits(theirs, images, training=False)
    except (RuntimeError, AssertionError):  # smaller than it allows
        raise InputError(f"the network takes no images of {images.shape[-1]} pixels") from None
    return _logits(ours, images, training=False), expected


def _small_images(model: nn.Module, image_size: int) -> Tensor:
    """Small where the model takes them, or else of image_size."""
    for size in IMAGE_SIZES:
        try:
            _logits(model, _images(size, 1), training=False)
        except (RuntimeError, AssertionError):
            continue
        return _images(size, BATCH)
    return _images(image_size, BATCH)


def _images(size: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64)


@torch.no_grad()
def _logits(model: nn.Module, images: Tensor, training: bool) -> Tensor:
    model.train(training)
    for module in model.modules():
        if type(module).__name__ in REGULARISERS:
            module.eval()
    logits = model(images)
    if not isinstance(logits, Tensor):
        raise InputError(f"the network returns {type(logits).__name__}, not logits")
    return logits
