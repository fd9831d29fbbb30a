"""SE with constant gates, folded into what stands beside it: a scale of channels is one of a batch
norm's output or of a convolution's, or of what a convolution reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_space.errors import InputError
from senet_nas.nn.placement import Unit

# a(g x) = g a(x) for g >= 0.
HOMOGENEOUS = (nn.ReLU, nn.Identity)
SLOPELESS = (nn.Identity, nn.Dropout)


def fold_into(unit: Unit, gates: Tensor) -> None:
    """Scale the weights beside a unit's SE by constant gates (C,), and take the SE out: in
    evaluation the unit then computes what it did with these gates.

    Raises `InputError` where nothing beside it can take them; the unit is as it was, then.
    """
    assert unit.se is not None
    placement = unit.se.value.placement
    gates = gates.to(next(unit.parameters()))
    if placement == "standard":
        _scale_outputs([unit.head, unit.tail], gates)
    elif placement == "identity":
        if unit.shortcut is None or isinstance(unit.shortcut, nn.Identity):
            raise InputError("nothing stands on the shortcut that could take its gates")
        _scale_outputs([unit.shortcut], gates)
    elif placement == "post":
        if unit.shortcut is not None:
            raise InputError("the gates behind an addition can't be taken by either side of it")
        _scale_outputs([unit.head, unit.tail, unit.act], gates)
    elif placement == "pre":
        _scale_inputs([unit.head], gates)
    else:
        _scale_inputs([unit.tail], gates)
    unit.stand(None)


def _leaves(parts: list[nn.Module]) -> list[nn.Module]:
    """The modules that run one after another, those inside of a sequence each on its own."""
    found: list[nn.Module] = []
    for part in parts:
        found += _leaves(list(part.children())) if type(part) is nn.Sequential else [part]
    return found


@torch.no_grad()
def _scale_outputs(parts: list[nn.Module], gates: Tensor) -> None:
    """Let what comes out of these modules be times the gates."""
    for module in reversed(_leaves(parts)):
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None:
            module.weight.mul_(gates)
            module.bias.mul_(gates)
            return
        if isinstance(module, nn.Conv2d):
            module.weight.mul_(gates.view(-1, 1, 1, 1))
            if module.bias is not None:
                module.bias.mul_(gates)
            return
        if isinstance(module, nn.ReLU) and bool((gates < 0).any()):
            raise InputError("negative gates behind a ReLU can't be taken by what stands before it")
        if not isinstance(module, (*HOMOGENEOUS, *SLOPELESS)):
            raise InputError(
                f"{type(module).__name__} stands before its gates, which takes no scale"
            )
    raise InputError("no convolution or norm stands before its gates")


@torch.no_grad()
def _scale_inputs(parts: list[nn.Module], gates: Tensor) -> None:
    """Let the first convolution read its input times the gates."""
    for module in _leaves(parts):
        if isinstance(module, nn.Conv2d):
            outputs = module.out_channels // module.groups
            read = gates.view(module.groups, 1, -1).expand(-1, outputs, -1)
            module.weight.mul_(read.reshape(module.out_channels, -1)[:, :, None, None])
            return
        if not isinstance(module, SLOPELESS):
            raise InputError(
                f"{type(module).__name__} stands behind its gates, which takes no scale"
            )
    raise InputError("no convolution stands behind its gates")
