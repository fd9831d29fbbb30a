"""Weights that a user has in a file, put into a model of another library."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search_space import InputError

WRAPPERS = ("state_dict", "model")  # keys under which training scripts keep the weights
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a file of safetensors, or of torch's (read without running code).

    A mapping wrapped as `state_dict` or `model` is unwrapped, `module.` before every name is
    taken off. Raises `InputError` for a file that is missing, damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights (or: pretrained, random)")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: files of weights end in {', '.join(SUFFIXES)}")
    held = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    while isinstance(held, Mapping) and (wrapper := next((w for w in WRAPPERS if w in held), None)):
        held = held[wrapper]
    if not isinstance(held, Mapping) or not held:
        raise InputError(f"{path}: holds no tensors by name")
    state = {str(name): value for name, value in held.items()}
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {name!r} is a {type(value).__name__}, not a tensor")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def load_into(
    build: Callable[[int | None], nn.Module],
    num_classes: int | None,
    state: Mapping[str, Tensor],
    where: str,
    ignored: tuple[str, ...] = (),
) -> nn.Module:
    """A model that `build` makes for a number of classes, with these weights.

    num_classes: the weights' own where it is None; where it is another, the classifier is new.
    where: the file, for errors. ignored: beginnings of names that the model may do without.
    Raises `InputError` naming the first tensors that don't fit.
    """
    state = {name: value for name, value in state.items() if not name.startswith(ignored)}
    model = build(num_classes)
    weight = classifier_name(model) + ".weight"
    held = state[weight].shape[0] if weight in state and state[weight].ndim else None
    if num_classes is None and held and held != model.get_parameter(weight).shape[0]:
        model = build(held)
    if held and held != model.get_parameter(weight).shape[0]:
        own = classifier_name(model) + "."
        fresh = {n: v for n, v in model.state_dict().items() if n.startswith(own)}
        state = {n: v for n, v in state.items() if not n.startswith(own)} | fresh
    fill(model, state, where)
    return model


@torch.no_grad()
def fill(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy weights into a model. Raises `InputError` where names or shapes differ; only counts of
    batches, which old files lack, may be missing."""
    own = model.state_dict()
    problems = [
        f"{name} is {list(state[name].shape)}, not {list(tensor.shape)}"
        if name in state
        else f"no {name}"
        for name, tensor in own.items()
        if (name in state or not name.endswith("num_batches_tracked"))
        and (name not in state or state[name].shape != tensor.shape)
    ]
    problems += [f"{name} is not in the network" for name in state if name not in own]
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(
            f"{where}: weights do not fit the network: {'; '.join(problems[:3])}{more}"
        )
    for name, tensor in own.items():
        if name in state:
            tensor.copy_(state[name])


def classifier_name(model: nn.Module) -> str:
    """The name of the layer that gives the logits: what timm says, else the last one of linear
    layers and convolutions. Raises `InputError` where there is none."""
    told: object = (getattr(model, "pretrained_cfg", None) or {}).get("classifier")
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if not layers:
        raise InputError(f"{type(model).__name__} has no linear layer or convolution")
    return str(told) if told in layers else layers[-1]


def renew_classifier(model: nn.Module, num_classes: int) -> None:
    """Put a new layer of as many outputs in the place of the one that gives the logits."""
    name = classifier_name(model)
    parent, _, attribute = name.rpartition(".")
    old: Any = model.get_submodule(name)
    bias = old.bias is not None
    new: nn.Module
    if isinstance(old, nn.Conv2d):
        size: Any = old.kernel_size
        new = nn.Conv2d(old.in_channels, num_classes, size, bias=bias)
    else:
        new = nn.Linear(old.in_features, num_classes, bias=bias)
    setattr(model.get_submodule(parent), attribute, new)


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: damaged, or not safetensors: {_line(error)}") from None


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path}: damaged, or more than tensors: {_line(error)}") from None


def _line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
