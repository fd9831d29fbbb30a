"""Files that belong together: written aside, and put in place only once all are there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from search_space import InputError
from senet_nas.data import sync, sync_names

Result = TypeVar("Result")


def written_together(path: Path, write: Callable[[Path], Result]) -> Result:
    """Let `write` fill a file of the name of `path`, and others beside it, in a temporary folder;
    then rename all of them to beside `path`, that file last.

    Where `write` raises, everything is as it was. What `write` names may be a folder: it replaces
    one with files of the same names alone. Raises `InputError` for a folder with others in it.
    """
    folder = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    folder.mkdir()
    try:
        result = write(folder / path.name)
        for made in sorted(folder.iterdir(), key=lambda entry: entry.name == path.name):
            _put(made, path.parent / made.name)
        sync_names(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _put(made: Path, target: Path) -> None:
    for file in sorted(made.iterdir()) if made.is_dir() else [made]:
        sync(file)
    if made.is_dir() and target.is_dir():
        others = sorted({e.name for e in target.iterdir()} - {e.name for e in made.iterdir()})
        if others:
            raise InputError(f"{target} holds other files: {', '.join(others[:5])}")
        target.rename(made.with_name("replaced"))  # goes with the temporary folder
    made.replace(target)
