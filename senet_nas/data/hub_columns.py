"""Which columns of a Hugging Face `datasets` table hold images and labels.

Its features stand as JSON in the schema's metadata, under `huggingface`; where they don't, columns
are known by their usual names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search_space.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGES = ("image", "img", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "cls")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns, and those of the classes where they stand with the images."""

    image: str
    label: str | None
    classes: tuple[str, ...] | None


def columns_of(where: str, schema: pa.Schema) -> Columns:
    """The columns of a table. Raises `InputError` for one without images."""
    features = _features(schema)
    image = _chosen(schema.names, features, "Image", _IMAGES)
    if image is None:
        raise InputError(
            f"{where}: no column of images (image, img) among {', '.join(schema.names) or 'none'}"
        )
    label = _chosen(schema.names, features, "ClassLabel", _LABELS)
    listed = features.get(label or "", {}).get("names")
    classes = tuple(map(str, listed)) if isinstance(listed, list) else None
    return Columns(image, label, classes)


def content_of(value: Any) -> bytes | str:
    """The bytes of an image's cell, a struct of `bytes` and `path` or bytes alone; or in words why
    there are none. A path is never followed: it is one of the machine that wrote it."""
    if isinstance(value, dict):
        value = value.get("bytes") or ("a path and no content" if value.get("path") else None)
    return value if isinstance(value, bytes | str) else "no content"


def _chosen(
    names: list[str], features: Mapping[str, Any], kind: str, usual: tuple[str, ...]
) -> str | None:
    """The column with a usual name, first among those of a kind, or else the first of the kind."""
    of_kind = [name for name in names if features.get(name, {}).get("_type") == kind]
    candidates = of_kind or names
    found = next((name for name in usual if name in candidates), None)
    return found or next(iter(of_kind), None)


def _features(schema: pa.Schema) -> dict[str, Any]:
    try:
        about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = about.get("info", {}).get("features", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    if not isinstance(features, dict):
        return {}
    return {name: value for name, value in features.items() if isinstance(value, dict)}
