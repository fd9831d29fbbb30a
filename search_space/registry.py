"""Finding things by name: a name is a module in a package, imported only when it is asked for.

Folders named in the environment variable SENET_NAS_EXTENSIONS (separated as in PATH) may hold
`spaces/`, `published/`, `strategies/`, `one_shot/`, `differentiable/`, `cells/`, `proxies/`,
`families/`, `recipes/`, `containers/` and `formats/` folders of a user's own; a file in one of them
counts as if it lay in the project's package of that name.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path
from types import ModuleType

from search_space.errors import InputError, one_of

EXTENSIONS_VARIABLE = "SENET_NAS_EXTENSIONS"


def extension_folders(room: str) -> list[Path]:
    """The user's own folders for a room such as `cells`, in the order given.

    Raises `InputError` where the variable names a folder that isn't there.
    """
    entries = filter(None, os.environ.get(EXTENSIONS_VARIABLE, "").split(os.pathsep))
    folders = [Path(entry).absolute() for entry in entries]  # importlib keeps them by name
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{EXTENSIONS_VARIABLE}: no such folder: {folder}")
    return [folder / room for folder in folders if (folder / room).is_dir()]


def _package(package_name: str) -> ModuleType:
    package = importlib.import_module(package_name)
    for folder in extension_folders(package_name.rpartition(".")[2]):
        if str(folder) not in package.__path__:
            package.__path__.append(str(folder))
    return package


def names(package_name: str) -> list[str]:
    """The names that `lookup` takes: the package's modules, without imports. Sorted."""
    found = pkgutil.iter_modules(_package(package_name).__path__)
    return sorted(m.name for m in found if not m.ispkg and not m.name.startswith("_"))


def lookup(package_name: str, name: str, kind: str) -> ModuleType:
    """The module called `name` in a package; `kind` is what the user calls it ("cell").

    Raises `InputError` with the allowed names where there is none.
    """
    allowed = names(package_name)
    if name not in allowed:
        raise one_of(kind, name, allowed)
    return importlib.import_module(f"{package_name}.{name}")
