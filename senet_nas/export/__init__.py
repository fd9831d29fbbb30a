"""Taking a network home: one file a format in `formats/`, whose `export(checkpoint,
path)` writes and checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_space.errors import InputError, RunError
from search_space.registry import lookup, names

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint


@dataclass(frozen=True)
class Exported:
    """path: the file. largest_difference: between its logits and the network's on the images
    that it was checked with. agreement: the percentage of them with the same top class."""

    path: Path
    images: int
    largest_difference: float
    agreement: float

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "path": str(self.path)}


def format_names() -> list[str]:
    """The formats that `export` takes."""
    return names("senet_nas.export.formats")


def export(checkpoint: Checkpoint, format_name: str, path: Path) -> Exported:
    """Write a checkpoint in a format, run what was written, and compare it with the network.

    Raises `InputError` for an unknown format and for a path that can't be written, and
    `ExportError` where what was written differs from the network; no file is left then.
    """
    module = lookup("senet_nas.export.formats", format_name, "format")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    try:
        result: Exported = module.export(checkpoint, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    return result


class ExportError(RunError):
    """What was written doesn't compute what the network computes."""
