"""Taking a network home: one file a format in `formats/`, whose `export(checkpoint, path, images)`
writes and checks; further arguments of it are the format's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_space.errors import InputError, RunError
from search_space.registry import lookup, names

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint

FORMATS = "senet_nas.export.formats"


@dataclass(frozen=True)
class Exported:
    """path: the file. largest_difference: between its logits and the network's on the images
    that it was checked with, in batches of each of `batch_sizes`. agreement: the percentage of them
    with the same top class, in the batches where it is least. details: what the format tells beside
    that."""

    path: Path
    images: int
    largest_difference: float
    agreement: float
    details: Mapping[str, Any] = field(default_factory=dict)
    batch_sizes: tuple[int, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = asdict(self)
        details = data.pop("details")
        sizes = list(self.batch_sizes)
        return {**data, "path": str(self.path), "batch_sizes": sizes, **details}


class ExportError(RunError):
    """What was written doesn't compute what the network computes."""


def format_names() -> list[str]:
    """The formats that `export` takes."""
    return names(FORMATS)


def default_path(checkpoint: Path, format_name: str) -> Path:
    """Where an export goes that isn't told: beside its checkpoint. Raises `InputError`."""
    module = lookup(FORMATS, format_name, "format")
    return checkpoint.with_name(checkpoint.stem + getattr(module, "SUFFIX", f".{format_name}"))


def export(
    checkpoint: Checkpoint,
    format_name: str,
    path: Path,
    data: str | None = None,
    **options: Any,
) -> Exported:
    """Write a checkpoint in a format, run what was written, and compare it with the network.

    data: real images to check (and calibrate) with, the carried sample of CIFAR-10 if not given.
    options: the format's own. Raises `InputError` for an unknown format or option, for data that
    can't be read and a path that can't be written, and `ExportError` where what was written
    differs from the network; no file is left then.
    """
    from senet_nas.export.images import RealImages
    from senet_nas.export.options import checked_options

    module = lookup(FORMATS, format_name, "format")
    settings = checked_options(format_name, options)
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir() and not getattr(module, "WRITES_FOLDER", False):
        raise InputError(f"{path} is a folder; name a file in it")
    try:
        result: Exported = module.export(checkpoint, path, RealImages(checkpoint, data), **settings)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    return result
