"""Hugging Face `datasets` in Parquet shards, `train-00000-of-00040.parquet`: images in a struct of
bytes and path, labels beside them.

A row can only be read with the hundreds that share its group, so a set that isn't held in memory is
copied once, unchanged, into Arrow files in the cache (`copies.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_space.errors import InputError
from senet_nas.data.hub_columns import Columns, columns_of, content_of
from senet_nas.data.hub_tables import labels_of
from senet_nas.data.records import Labels
from senet_nas.data.shards import SplitFiles, shards_in

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIX = ".parquet"
_ROWS = 64  # read at a time


def opened(path: Path) -> Parquet | None:
    """The set in a folder of Parquet shards, or in one of them."""
    by_split = shards_in(path, _SUFFIX)
    return Parquet(path, by_split) if by_split else None


@dataclass(frozen=True)
class Parquet(SplitFiles):
    """Shards by their own split."""

    def records(self, split: str) -> ParquetRecords:
        """See `Opened`."""
        labels, classes = self._labels
        own = self._chosen[split]
        return ParquetRecords(
            self.where, self.by_split[own], self._columns[own].image, labels[own], classes
        )

    @cached_property
    def _columns(self) -> dict[str, Columns]:
        return {
            split: columns_of(self.where, _file(files[0]).schema_arrow)
            for split, files in self.by_split.items()
        }

    @cached_property
    def _labels(self) -> tuple[dict[str, Labels], tuple[str, ...]]:
        found = {
            split: None if (name := self._columns[split].label) is None else _column(files, name)
            for split, files in self.by_split.items()
        }
        return labels_of(self.path, self._columns, found)


@dataclass(frozen=True, eq=False)
class ParquetRecords:
    """`Records` of the rows of Parquet files."""

    where: str
    files: tuple[Path, ...]
    column: str
    labels: Labels
    classes: tuple[str, ...]
    is_random = False

    def name(self, number: int) -> str:
        """See `Records`."""
        return f"row {number}"

    def read(self, number: int) -> bytes | str:
        """See `Records`; reads all that stand before."""
        return next(content for found, content in self.read_all() if found == number)

    def read_all(self) -> Iterator[tuple[int, bytes | str]]:
        """See `Records`; in the order of the rows."""
        import pyarrow as pa

        number = 0
        for file in self.files:
            shard = _file(file)
            if self.column not in shard.schema_arrow.names:
                raise InputError(f"{file}: has no column {self.column!r}, as others have")
            try:
                for batch in shard.iter_batches(_ROWS, columns=[self.column]):
                    for cell in batch.column(0):
                        yield number, content_of(cell.as_py())
                        number += 1
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(file, error) from None


def _file(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None


def _column(files: tuple[Path, ...], name: str) -> pa.ChunkedArray:
    import pyarrow as pa

    chunks: list[Any] = []
    for file in files:
        try:
            chunks += _file(file).read(columns=[name]).column(name).chunks
        except (pa.ArrowException, OSError, KeyError) as error:
            raise _unreadable(file, error) from None
    try:
        return pa.chunked_array(chunks)
    except pa.ArrowException as error:
        raise InputError(f"{files[0].parent}: columns {name!r} differ: {error}") from None


def _unreadable(file: Path, error: Exception) -> InputError:
    problem = str(error).split("\n", maxsplit=1)[0]
    return InputError(f"{file}: cannot be read as Parquet: {problem}")
