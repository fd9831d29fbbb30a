"""Hugging Face `datasets` in Arrow files: a folder saved by `save_to_disk`, of one split or of
several; its files are mapped into memory and read by row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search_space.errors import InputError
from senet_nas.data.hub_columns import Columns, columns_of, content_of
from senet_nas.data.hub_tables import labels_of
from senet_nas.data.layout import split_of
from senet_nas.data.records import Labels
from senet_nas.data.shards import SplitFiles, shards_in

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIX = ".arrow"


def opened(path: Path) -> Arrow | None:
    """The set in a folder of Arrow files, or in one of them."""
    if (path / "dataset_dict.json").is_file():
        by_split: dict[str, tuple[Path, ...]] = {}
        for name in _listed(path / "dataset_dict.json", "splits"):
            _check_inside(path / "dataset_dict.json", name)
            split = split_of(name)
            by_split[split] = by_split.get(split, ()) + _saved(path / name)
    elif (path / "state.json").is_file():
        by_split = {"train": _saved(path)}
    else:
        by_split = shards_in(path, _SUFFIX)
    return Arrow(path, by_split) if by_split else None


@dataclass(frozen=True)
class Arrow(SplitFiles):
    """Tables by their own split."""

    def records(self, split: str) -> ArrowRecords:
        """See `Opened`."""
        labels, classes = self._labels
        own = self._chosen[split]
        return ArrowRecords(
            self.where, self.by_split[own], self._columns[own].image, labels[own], classes
        )

    @cached_property
    def _tables(self) -> dict[str, pa.Table]:
        return {split: mapped(files) for split, files in self.by_split.items()}

    @cached_property
    def _columns(self) -> dict[str, Columns]:
        return {split: columns_of(self.where, t.schema) for split, t in self._tables.items()}

    @cached_property
    def _labels(self) -> tuple[dict[str, Labels], tuple[str, ...]]:
        found = {
            split: None if (name := self._columns[split].label) is None else table[name]
            for split, table in self._tables.items()
        }
        return labels_of(self.path, self._columns, found)


@dataclass(frozen=True, eq=False)
class ArrowRecords:
    """`Records` of the rows of Arrow files. `labels` aren't read from them again."""

    where: str
    files: tuple[Path, ...]
    column: str
    labels: Labels
    classes: tuple[str, ...]
    is_random: bool = True
    _opened: list[_Rows] = field(default_factory=list)  # empty until a row is read

    def name(self, number: int) -> str:
        """See `Records`."""
        return f"row {number}"

    def read(self, number: int) -> bytes | str:
        """See `Records`."""
        if not self._opened:
            self._opened.append(_Rows(mapped(self.files)[self.column]))
        return content_of(self._opened[0][number])

    def read_all(self) -> Iterator[tuple[int, bytes | str]]:
        """See `Records`."""
        return ((number, self.read(number)) for number in range(len(self.labels)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": []}  # each process maps the files itself


class _Rows:
    """The cells of a column by number."""

    def __init__(self, column: pa.ChunkedArray):
        self._chunks = column.chunks
        self._starts = np.cumsum([0, *map(len, self._chunks)])

    def __getitem__(self, number: int) -> Any:
        chunk = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._chunks[chunk][number - int(self._starts[chunk])].as_py()


def mapped(files: tuple[Path, ...]) -> pa.Table:
    """The rows of Arrow files, of the stream or the file format, without reading them.

    Raises `InputError` for a damaged file.
    """
    import pyarrow as pa

    tables = []
    for file in files:
        try:
            source = pa.memory_map(str(file))
            try:
                tables.append(pa.ipc.open_stream(source).read_all())
            except pa.ArrowInvalid:
                tables.append(pa.ipc.open_file(pa.memory_map(str(file))).read_all())
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: cannot be read as Arrow: {_first_line(error)}") from None
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise InputError(f"{files[0].parent}: tables differ: {_first_line(error)}") from None


def _saved(folder: Path) -> tuple[Path, ...]:
    """The files of one split that `save_to_disk` wrote, in its order.

    Raises `InputError` for a name that leaves the folder and for a file that is gone.
    """
    names = [
        entry.get("filename") if isinstance(entry, dict) else None
        for entry in _listed(folder / "state.json", "_data_files")
    ]
    for name in names:
        _check_inside(folder / "state.json", name)
        if not (folder / str(name)).is_file():
            raise InputError(f"{folder / str(name)}: no such file")
    return tuple(folder / str(name) for name in names)


def _check_inside(file: Path, name: object) -> None:
    """That a name in a file of JSON is one in the file's own folder."""
    if not isinstance(name, str) or Path(name).name != name or name == "..":
        raise InputError(f"{file}: {name!r} is no entry of its folder")


def _listed(file: Path, key: str) -> list[Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{file}: damaged, or not of Hugging Face's datasets") from None
    if not isinstance(found, list) or not found:
        raise InputError(f"{file}: {key} lists nothing")
    return found


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
