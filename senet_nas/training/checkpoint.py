"""A trained network in one safetensors file: weights, and in its header all that using it takes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, device, nn

from search_space import Blueprint, Retrofit, blueprint_from_json
from search_space.errors import FULL, InputError
from senet_nas.data import RGB, write_atomically
from senet_nas.nn import build_network
from senet_nas.nn.trust import check_trusted

_KEY = "senet_nas"
_FORMAT = 1
_SYSTEMS = re.compile(r"os error (\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A network as a value: what it is, what it learned, what it was taught on.

    weights: parameters and buffers by name. classes: in the order of the logits. mean, std: of
    each channel, 0 to 1. image_size: in pixels. metadata: whatever JSON holds (accuracy, recipe,
    seed).
    """

    architecture: Blueprint
    weights: Mapping[str, Tensor]
    classes: tuple[str, ...]
    mean: RGB
    std: RGB
    image_size: int
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def test_crop(self) -> float:
        """The share of a resized image's side that is evaluated on: its recipe's, or its source's
        (`crop_pct`)."""
        return float(self._recipe().get("test_crop", self.metadata.get("crop_pct", 1.0)))

    @property
    def test_interpolation(self) -> str:
        """How images to evaluate on are resized (`Recipe.test_interpolation`)."""
        kind = self._recipe().get("interpolation", self.metadata.get("interpolation", "bilinear"))
        return "bilinear" if kind == "bilinear" else "bicubic"

    def _recipe(self) -> Mapping[str, Any]:
        recipe = self.metadata.get("recipe")
        return recipe if isinstance(recipe, dict) else {}

    def network(self) -> nn.Module:
        """The network with these weights, in evaluation mode, on the CPU.

        Raises `InputError` where the weights aren't those of the architecture.
        """
        self.check()
        network = build_network(self.architecture, len(self.classes), self.image_size)
        network.load_state_dict(self.weights)
        return network.eval()

    def check(self) -> None:
        """Raise `InputError` where the weights' names or shapes aren't the architecture's.

        No memory is taken for weights: an architecture may claim more than any machine has.
        """
        try:
            # Somebody else's network may not build on the meta device.
            with device("cpu" if isinstance(self.architecture, Retrofit) else "meta"):
                network = build_network(self.architecture, len(self.classes), self.image_size)
        except (RuntimeError, TypeError, OverflowError) as error:  # sizes beyond 64 bits
            problem = str(error).split("\n", maxsplit=1)[0]
            raise InputError(f"the architecture cannot be built: {problem}") from None
        wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in self.weights.items()}
        if problem := _difference(wanted, found):
            raise InputError(f"weights do not fit the architecture: {problem}")


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint by way of a temporary file. Raises `InputError` where none can be written
    there, and `OSError` where the disk is full."""
    about = {
        "format": _FORMAT,
        "architecture": json.loads(checkpoint.architecture.to_json()),
        "classes": checkpoint.classes,
        "mean": checkpoint.mean,
        "std": checkpoint.std,
        "image_size": checkpoint.image_size,
        "metadata": checkpoint.metadata,
    }
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    try:
        save_tensors(path, checkpoint.weights, about)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise InputError(f"{path}: {error.strerror or error}") from None


def load_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint in a file. Raises `InputError` naming a file that is missing, damaged, or
    something else."""
    weights, about = load_tensors(Path(path), "checkpoint")
    try:
        if "kind" in about:
            raise InputError(f"it is a {about['kind']}")
        if about["format"] != _FORMAT:
            raise InputError(f"format {about['format']!r} is not known (allowed: {_FORMAT})")
        architecture = blueprint_from_json(json.dumps(about["architecture"]))
        check_trusted(architecture)
        checkpoint = Checkpoint(
            architecture,
            weights,
            tuple(about["classes"]),
            rgb(about["mean"]),
            rgb(about["std"]),
            int(about["image_size"]),
            about["metadata"],
        )
        checkpoint.check()
    except (KeyError, TypeError, ValueError, OverflowError) as error:  # InputError: ValueError
        raise InputError(f"{path}: not a checkpoint of senet-nas: {error}") from None
    return checkpoint


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors, and JSON in their file's header, by way of a temporary file. Raises
    `OSError`."""
    on_host = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {_KEY: json.dumps(about)}
    try:
        write_atomically(path, lambda temporary: save_file(on_host, temporary, metadata))
    except SafetensorError as error:  # the system's error in words
        number = int(found[1]) if (found := _SYSTEMS.search(str(error))) else 0
        raise OSError(number, os.strerror(number) if number else str(error), str(path)) from None


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_tensors` wrote. Raises `InputError` that calls the file a `kind`."""
    if not path.is_file():
        raise InputError(f"{path}: no such {kind}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged, or not a {kind} of senet-nas: {error}") from None


def _difference(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """The first three names that differ, in words; empty where none does."""
    problems = [
        f"{name} is {list(found[name])}, not {list(shape)}" if name in found else f"no {name}"
        for name, shape in wanted.items()
        if found.get(name) != shape
    ]
    problems += [f"{name} is not in it" for name in found if name not in wanted]
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def rgb(values: Any) -> RGB:
    """Three floats. Raises ValueError or TypeError for anything else."""
    red, green, blue = map(float, values)
    return red, green, blue
