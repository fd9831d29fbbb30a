"""Bringing back what was written: a checkpoint, or an export from which one can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from search_space import InputError
from search_space.registry import lookup
from senet_nas.export import FORMATS, format_names
from senet_nas.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint


def load(path: str | Path) -> Checkpoint:
    """The checkpoint in a file, or in an exported folder of safetensors.

    Raises `InputError` naming a file that is missing, damaged, or something else.
    """
    path = Path(path)
    for name in format_names() if path.is_dir() else ():
        module = lookup(FORMATS, name, "format")
        if hasattr(module, "load") and module.recognises(path):
            checkpoint: Checkpoint = module.load(path)
            return checkpoint
    if path.is_dir():
        raise InputError(f"{path}: a folder that holds no exported network")
    return load_checkpoint(path)
