"""Image files in a folder or an archive, whose classes are told from their paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from senet_nas.data.layout import SPLITS, Layout, layout_of
from senet_nas.data.names import Names
from senet_nas.data.records import Labels
from senet_nas.data.sources import Source, open_source
from senet_nas.data.validation_labels import labels_in


def opened(path: Path) -> Files:
    """The images at a path. Raises `InputError` where there is no folder and no archive."""
    return Files(open_source(path))


@dataclass(frozen=True)
class Files:
    """Image files laid out as `layout_of` knows it."""

    source: Source

    @property
    def where(self) -> str:
        """See `Opened`."""
        return str(self.source.path)

    @property
    def splits(self) -> tuple[str, ...]:
        """See `Opened`; told from names alone."""
        return tuple(split for split in SPLITS if getattr(self._layout, split))

    def fingerprint(self) -> str:
        """See `Opened`."""
        return self.source.fingerprint()

    def records(self, split: str) -> FileRecords:
        """See `Opened`."""
        layout = self._layout
        entries = layout.train if split == "train" else layout.test
        label_of = {name: label for label, name in enumerate(layout.classes)}
        labels = np.array([label_of[name] for _, name in entries], dtype=np.int64)
        return FileRecords(
            self.source, Names.of(path for path, _ in entries), labels, layout.classes
        )

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.where, self.source.paths(), labels_in(self.source))


@dataclass(frozen=True, eq=False)
class FileRecords:
    """`Records` of files, sorted by class and path."""

    source: Source
    names: Names
    labels: Labels
    classes: tuple[str, ...]

    @property
    def where(self) -> str:
        """See `Records`."""
        return str(self.source.path)

    @property
    def is_random(self) -> bool:
        """See `Records`."""
        return self.source.is_random

    def name(self, number: int) -> str:
        """See `Records`."""
        return self.names[number]

    def read(self, number: int) -> bytes | str:
        """See `Records`."""
        return self.source.read(self.names[number])

    def read_all(self) -> Iterator[tuple[int, bytes | str]]:
        """See `Records`."""
        number_of = {name: number for number, name in enumerate(self.names)}
        for name, content in self.source.contents(number_of):
            yield number_of[name], content
