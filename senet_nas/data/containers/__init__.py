"""What images are kept in: one file a container, each with a function `opened(path)` that gives
the set at a path where it knows what lies there, and None where it doesn't."""

from __future__ import annotations

from pathlib import Path

from search_space import registry
from search_space.errors import InputError
from senet_nas.data.records import Opened

_OTHERWISE = "files"


def open_data(data: str | Path) -> Opened:
    """The images at a path: image files in a folder or an archive, or what a container knows.

    Raises `InputError` where there are none that can be read.
    """
    path = Path(data).expanduser()
    names = [name for name in registry.names(__name__) if name != _OTHERWISE]
    for name in (*names, _OTHERWISE):
        opened: Opened | None = registry.lookup(__name__, name, "container").opened(path)
        if opened is not None:
            return opened
    raise InputError(f"data: {path} holds no images that are known")
