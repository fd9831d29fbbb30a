"""Taking a network home: one file a format in `formats/`, whose `export(checkpoint,
path)` writes and checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_space.errors import InputError
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

    Raises `InputError` for an unknown format or folder, and `ExportError` where what was written
    differs from the network; no file is left then.
    """
    module = lookup("senet_nas.export.formats", format_name, "format")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    result: Exported = module.export(checkpoint, path)
    return result


class ExportError(RuntimeError):
    """What was written doesn't compute what the network computes."""
