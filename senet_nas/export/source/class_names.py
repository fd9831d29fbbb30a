"""What a module is called in generated source, and what its docstring says."""

from __future__ import annotations

from torch import nn

from senet_nas.nn.placement import Unit
from senet_nas.nn.squeeze_excitation import SqueezeExcitation

# What an SE's class is called by, where it isn't the paper's.
SQUEEZE_NAMES = {"avg": "", "max": "Max", "none": "NoSqueeze"}
EXCITATION_NAMES = {"sigmoid": ""}


def class_name(module: nn.Module, network: nn.Module) -> str:
    """Of a cell its file's name, with SE's placement; of others their class's."""
    kind = type(module)
    name = kind.__name__ if kind.__name__ != "Cell" else _title(kind.__module__.rpartition(".")[2])
    if isinstance(module, Unit):
        if module.se is not None:
            name += _title(module.se.value.placement)
        alike = [one for one in network.modules() if type(one) is kind]
        if module.shortcut is None and any(one.shortcut is not None for one in alike):
            name += "NoShortcut"
    if isinstance(module, SqueezeExcitation):
        se = module.value
        name += SQUEEZE_NAMES.get(se.squeeze, _title(se.squeeze))
        name += EXCITATION_NAMES.get(se.excitation, _title(se.excitation))
        name += "Neutral" if se.neutral else ""
    return name


def described(module: nn.Module) -> str:
    """What a module computes, in a line."""
    if isinstance(module, SqueezeExcitation):
        return "Squeeze-and-Excitation (arXiv 1709.01507)."
    first = (type(module).__doc__ or type(module).__name__).strip().split("\n\n")[0]
    sentence = " ".join(first.split()).split(". ")[0].rstrip(".")
    if isinstance(module, Unit):
        where = f", SE at `{module.se.value.placement}`" if module.se is not None else ""
        sentence = sentence.replace(" [+SE]", "").replace(" [+ SE]", "") + where
    return f"{sentence}."


def _title(name: str) -> str:
    """`inverted_residual` to `InvertedResidual`."""
    return "".join(part.capitalize() for part in name.split("_"))
