"""What tables of Hugging Face's form have in common, whatever files they are in: splits, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search_space.errors import InputError
from senet_nas.data.hub_columns import Columns
from senet_nas.data.records import Labels
from senet_nas.data.shards import NO_LABEL, class_names, numbered

if TYPE_CHECKING:
    import pyarrow as pa


def labels_of(
    where: Path, columns: Mapping[str, Columns], found: Mapping[str, pa.ChunkedArray | None]
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Labels as numbers by split, and the classes' names. found: the column of labels by split."""
    texts = {split: _texts(where, column) for split, column in found.items()}
    labels, classes = numbered(where, texts)
    listed = next((of.classes for of in columns.values() if of.classes is not None), None)
    if listed is None:
        return labels, classes
    highest = max((int(of.max()) for of in labels.values() if len(of)), default=-1)
    return labels, class_names(where, listed, highest + 1)


def _texts(where: Path, column: pa.ChunkedArray | None) -> Sequence[str]:
    if column is None:
        raise InputError(f"{where}: no column of labels (label, fine_label)")
    values = column.to_pylist()
    if any(isinstance(value, bool | float | list | dict) for value in values):
        raise InputError(f"{where}: labels must be numbers or names")
    return [NO_LABEL if value is None else str(value) for value in values]
