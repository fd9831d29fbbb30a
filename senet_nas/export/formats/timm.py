"""A Python file that registers the network as a model of timm, built of timm's own blocks, with its
weights beside it as `.weights.safetensors`. What timm has no block for is said by name."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file
from torch import nn

from search_space import InputError, Retrofit
from senet_nas.export import Exported
from senet_nas.export.check import Opened, write_and_compare
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.export.source.program import run_file, written_by
from senet_nas.export.timm_parts.source import calls_of, is_taken, source_of
from senet_nas.export.timm_parts.weights import timm_weights
from senet_nas.nn.network import Network

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages
    from senet_nas.training import Checkpoint

SUFFIX = "_timm.py"
RUNS_CODE = True


def export(checkpoint: Checkpoint, path: Path, images: RealImages) -> Exported:
    """Write `path` and its weights beside it, build the model by timm, and compare.

    Raises `InputError` for another suffix, a name that timm has for a model of its own, and a
    network that timm's blocks can't express, naming what they can't.
    """
    if path.suffix != ".py":
        raise InputError(f"{path}: the name must end in .py")
    if isinstance(checkpoint.architecture, Retrofit):
        source = checkpoint.architecture.source
        raise InputError(f"format timm: SE at places of {source} is no model of timm's")
    network = checkpoint.network()
    assert isinstance(network, Network)
    name = _free_name(path)
    calls = calls_of(checkpoint.architecture, network)
    text = source_of(checkpoint, path, name, calls)
    counts = [len(found) for part in calls for found in part]

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")
        state = timm_weights(network, _model(temporary, pretrained=False), counts)
        save_file(state, _weights(temporary), {"format": "pt"})

    return write_and_compare(path, checkpoint, images, write, opened)


def recognises(path: Path) -> bool:
    """Whether `export` wrote it, as its first line says."""
    return path.suffix == ".py" and written_by(path, "timm")


def opened(path: Path) -> Opened:
    """The model that a file registers. Runs the file. Raises `InputError` where it lacks its
    weights."""
    if not _weights(path).is_file():
        raise InputError(f"{path}: its weights are missing: {_weights(path)}")
    model = _model(path, pretrained=True)
    about_it = model.pretrained_cfg
    if not isinstance(about_it, dict):
        raise InputError(f"{path}: its model has no pretrained_cfg")
    data = {**about_it, "image_size": about_it["input_size"][1], "classes": about_it["label_names"]}
    return Opened(model.eval(), Preprocessing.from_data(data))


def _model(path: Path, *, pretrained: bool) -> nn.Module:
    """The model of a file, which is run; timm knows its name from then on."""
    import timm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the name was known
        module = run_file(path)
        try:
            model: nn.Module = timm.create_model(module.NAME, pretrained=pretrained)
        finally:
            sys.modules.pop(module.__name__, None)
    return model


def _weights(path: Path) -> Path:
    return path.with_suffix(".weights.safetensors")


def _free_name(path: Path) -> str:
    """The model's name, its file's. Raises `InputError` where timm has such a model itself, and for
    a name that the file needs."""
    import timm

    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    name = name if name.isidentifier() else f"_{name}"
    if timm.is_model(name) and timm.model_entrypoint(name).__module__.startswith("timm."):
        raise InputError(f"{path}: timm has a model of its own called {name}; take another --out")
    if is_taken(name):
        raise InputError(f"{path}: its model can't be called {name}; take another --out")
    return name
