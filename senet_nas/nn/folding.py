"""SE with constant gates, folded into what stands beside it: a scale of channels is one of a batch
norm's output or of a convolution's, or of what a convolution or a batch norm reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn

from search_space.errors import InputError
from senet_nas.nn.branches import Branches, Channels, Pool
from senet_nas.nn.placement import Unit

# What a scale of channels may pass: f(g x) = g f(x) for any g, and for g >= 0 alone.
LINEAR = (nn.Identity, nn.Dropout, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
HOMOGENEOUS = (nn.ReLU, nn.MaxPool2d)

Change = Callable[[], None]


def fold_into(unit: Unit, gates: Tensor) -> None:
    """Scale the weights beside a unit's SE by constant gates (C,), and take the SE out: in
    evaluation the unit then computes what it did with these gates.

    Raises `InputError` where nothing beside it can take them; the unit is as it was, then.
    """
    assert unit.se is not None
    for change in _changes(unit, unit.se.value.placement, gates.to(next(unit.parameters()))):
        change()
    unit.stand(None)


def _changes(unit: Unit, placement: str, gates: Tensor) -> list[Change]:
    """What is to be done, each to other weights."""
    before = [unit.head, unit.tail]
    if placement == "standard" or (placement == "conv3x3" and _is_empty(unit.tail)):
        return _to_outputs(before, gates)
    if placement == "identity":
        if unit.shortcut is None or isinstance(unit.shortcut, nn.Identity):
            raise InputError("nothing stands on the shortcut that could take its gates")
        return _to_outputs([unit.shortcut], gates)
    if placement == "post":
        if unit.shortcut is not None:
            raise InputError("the gates behind an addition can't be taken by either side of it")
        return _to_outputs([*before, unit.act], gates)
    return _to_inputs(before if placement == "pre" else [unit.tail], gates)


def _leaves(parts: Sequence[nn.Module]) -> list[nn.Module]:
    """The modules that run one after another, those inside of a sequence each on its own."""
    found: list[nn.Module] = []
    for part in parts:
        found += _leaves(list(part.children())) if type(part) is nn.Sequential else [part]
    return found


def _is_empty(part: nn.Module) -> bool:
    return all(isinstance(module, nn.Identity) for module in _leaves([part]))


def _to_outputs(parts: Sequence[nn.Module], gates: Tensor) -> list[Change]:
    """How to let what comes out of these modules be times the gates."""
    for module in reversed(_leaves(parts)):
        if _is_norm(module) or isinstance(module, nn.Conv2d):
            return [partial(_scale_outputs, module, gates)]
        if isinstance(module, Branches):
            shares = torch.split(gates, _widths(module, len(gates)))
            pairs = zip(module, shares, strict=True)
            return [change for branch, g in pairs for change in _to_outputs([branch], g)]
        _check_passes(module, gates, "before")
    raise InputError("no convolution or norm stands before its gates")


def _to_inputs(parts: Sequence[nn.Module], gates: Tensor) -> list[Change]:
    """How to let these modules compute what they would for their input times the gates."""
    for module in _leaves(parts):
        if _is_norm(module):
            return [partial(_scale_read, module, gates)]
        if isinstance(module, nn.Conv2d):
            return [partial(_scale_inputs, module, gates)]
        if isinstance(module, Branches):
            return [change for branch in module for change in _to_inputs([branch], gates)]
        if isinstance(module, Channels):
            gates = gates[module.start : module.stop]
        else:
            _check_passes(module, gates, "behind")
    raise InputError("no convolution or norm stands behind its gates")


def _is_norm(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    return (
        isinstance(module, nn.BatchNorm2d)
        and module.weight is not None
        and module.running_mean is not None
    )


def _check_passes(module: nn.Module, gates: Tensor, where: str) -> None:
    takes_the_largest = isinstance(module, Pool) and module.kind == "max"
    if isinstance(module, HOMOGENEOUS) or takes_the_largest:
        if bool((gates < 0).any()):
            raise InputError(f"{type(module).__name__} lets no negative gates pass")
    elif not isinstance(module, (*LINEAR, Pool)):
        raise InputError(f"{type(module).__name__} stands {where} its gates, which takes no scale")


def _widths(branches: Branches, total: int) -> list[int]:
    """The channels that each branch yields. One alone may be without layers that say so."""
    widths = [_width(branch) for branch in branches]
    if widths.count(None) > 1:
        raise InputError("it isn't known which of its gates belong to which branch")
    rest = total - sum(width or 0 for width in widths)
    return [rest if width is None else width for width in widths]


def _width(branch: nn.Module) -> int | None:
    for module in reversed(_leaves([branch])):
        if isinstance(module, nn.BatchNorm2d):
            return module.num_features
        if isinstance(module, nn.Conv2d):
            return module.out_channels
        if isinstance(module, Branches):
            widths = [_width(each) for each in module]
            return None if None in widths else sum(width or 0 for width in widths)
    return None


@torch.no_grad()
def _scale_outputs(module: nn.Module, gates: Tensor) -> None:
    for tensor in (module.weight, module.bias):
        if isinstance(tensor, Tensor):
            tensor.mul_(gates.view(-1, *[1] * (tensor.ndim - 1)))


@torch.no_grad()
def _scale_inputs(convolution: nn.Conv2d, gates: Tensor) -> None:
    groups, outputs = convolution.groups, convolution.out_channels
    read = gates.view(groups, 1, -1).expand(-1, outputs // groups, -1)
    convolution.weight.mul_(read.reshape(outputs, -1)[:, :, None, None])


@torch.no_grad()
def _scale_read(norm: nn.BatchNorm2d, gates: Tensor) -> None:
    """w (g x - m) / s + b = w g x / s + (b - w m / s), also where a gate is zero."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    shift = norm.running_mean.double() / (norm.running_var.double() + norm.eps).sqrt()
    norm.bias.sub_(norm.weight * shift)
    norm.weight.mul_(gates)
    norm.running_mean.zero_()
