"""What a layer is, as far as finding places for SE goes; others' layers are known by name too."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.RMSNorm)
DROPOUTS = ("dropout", "droppath", "dropblock", "stochasticdepth")
ACTIVATIONS = ("relu", "elu", "gelu", "silu", "swish", "mish", "sigmoid", "tanh", "softplus")


def is_weight_layer(module: nn.Module | None) -> bool:
    """A convolution or a linear layer."""
    return isinstance(module, _ConvNd | nn.Linear)


def is_spatial(module: nn.Module | None) -> bool:
    """A convolution over images that sees more than one pixel."""
    return isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1


def is_depthwise(module: nn.Module | None) -> bool:
    """A spatial convolution of each channel by itself."""
    return (
        isinstance(module, nn.Conv2d)
        and is_spatial(module)
        and module.groups == module.in_channels > 1
    )


def is_norm(module: nn.Module | None) -> bool:
    """A normalisation, with an activation of its own or without."""
    if isinstance(module, NORMS):
        return True
    return module is not None and "norm" in _name(module) and not _holds_weights(module)


def is_activation(module: nn.Module | None) -> bool:
    """A function of each element."""
    return module is not None and _named(module, ACTIVATIONS) and not _holds_weights(module)


def passes_through(module: nn.Module | None) -> bool:
    """Identity, dropout and its like: in eval mode the output is the input."""
    return isinstance(module, nn.Identity) or (
        module is not None and _named(module, DROPOUTS) and not list(module.children())
    )


def _holds_weights(module: nn.Module) -> bool:
    return any(is_weight_layer(inner) for inner in module.modules())


def _named(module: nn.Module, words: tuple[str, ...]) -> bool:
    return any(word in _name(module) for word in words)


def _name(module: nn.Module) -> str:
    return type(module).__name__.lower().replace("_", "")
