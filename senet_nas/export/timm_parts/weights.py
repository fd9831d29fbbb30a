"""The weights of a network of ours under the names of timm's model of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from torch import Tensor, nn

from search_space.errors import RunError
from senet_nas.nn.network import Network
from senet_nas.nn.placement import Unit

SHORTCUTS = ("shortcut", "downsample")
SQUEEZES = ("SEModule", "SqueezeExcite")


def timm_weights(network: Network, model: nn.Module, counts: Sequence[int]) -> dict[str, Tensor]:
    """The state of timm's model. counts: how many of its modules each of our blocks is.

    Raises `RunError` where a layer has another shape there.
    """
    names = {module: name for name, module in model.named_modules()}
    state: dict[str, Tensor] = {}
    for ours, theirs in _pairs(network, model, counts):
        wanted = theirs.state_dict()
        for key, tensor in ours.state_dict().items():
            if key not in wanted or wanted[key].numel() != tensor.numel():
                raise RunError(f"timm's {names[theirs]} is not what its export took it to be")
            # A linear layer's weight may be a 1x1 convolution's there.
            state[f"{names[theirs]}.{key}"] = tensor.reshape(wanted[key].shape).contiguous()
    missing = model.state_dict().keys() - state.keys()
    if missing:
        raise RunError(f"timm's {min(missing)} has no counterpart")
    return state


def _pairs(
    network: Network, model: nn.Module, counts: Sequence[int]
) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Layers of ours with timm's."""
    units = chain(network.stem, *network.stages, network.head)
    stem, stages, last = (model.get_submodule(n) for n in ("stem", "stages", "final_conv"))
    flat = chain(stem.children(), *(s.children() for s in stages.children()), last.children())
    for unit, count in zip(units, counts, strict=True):
        assert isinstance(unit, Unit)
        ours, theirs = _sorted(unit), _of_timm([next(flat) for _ in range(count)])
        for mine, other in zip(ours, theirs, strict=True):
            yield from zip(mine, other, strict=True)
    linear = [m for m in network.classifier.modules() if isinstance(m, nn.Linear)]
    head = [m for m in model.get_submodule("head").modules() if isinstance(m, nn.Linear)]
    yield from zip(linear, head, strict=True)


def _sorted(unit: Unit) -> tuple[list[nn.Module], ...]:
    """A unit's layers with weights: of the branch, the shortcut, SE; each in running order."""
    branch = [layer for part in (unit.entry, unit.head, unit.tail) for layer in _layers(part)]
    shortcut = [] if unit.shortcut is None else list(_layers(unit.shortcut))
    return branch, shortcut, [] if unit.se is None else [unit.se.reduce, unit.se.expand]


def _of_timm(modules: Sequence[nn.Module]) -> tuple[list[nn.Module], ...]:
    """The same of what a unit is in timm, whose blocks hold their layers in running order."""
    branch: list[nn.Module] = []
    shortcut: list[nn.Module] = []
    squeeze: list[nn.Module] = []
    for module in modules:
        gates = [n for n, m in module.named_modules() if type(m).__name__ in SQUEEZES]
        for name, layer in module.named_modules():
            if layer not in _layers(layer):
                continue
            if any(name.startswith(f"{gate}." if gate else "") for gate in gates):
                squeeze.append(layer)
            else:
                (shortcut if name.split(".")[0] in SHORTCUTS else branch).append(layer)
    return branch, shortcut, squeeze


def _layers(module: nn.Module) -> list[nn.Module]:
    """The modules that hold weights themselves."""
    return [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
