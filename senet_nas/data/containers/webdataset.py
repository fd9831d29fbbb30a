"""Tar shards in the layout of WebDataset (github.com/webdataset/webdataset): `key.jpg` beside
`key.cls` or `key.json`, many keys a shard. Shards of ImageNet's own kind, images named by their
class and no labels, are read too.

Where each image stands is told from the shards' headers, once, and kept in the cache; so any image
can be read at any time, and shuffling is over all shards. Nothing is extracted, and nothing but
images and labels is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from search_space.errors import InputError
from senet_nas.data.layout import is_image, wordnet_class
from senet_nas.data.records import Labels
from senet_nas.data.shard_index import LABEL_SUFFIXES, ShardIndex, index_of
from senet_nas.data.shards import SplitFiles, numbered, shards_in
from senet_nas.data.sources import members_of, read_part

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LOOKED_AT = 16  # members that tell whether an archive is a shard


def opened(path: Path) -> Shards | None:
    """The shards of a folder, one shard, or those of a pattern such as `x-{000000..000146}.tar`."""
    is_pattern = _RANGE.search(path.name) is not None
    by_split = {"train": _expanded(path)} if is_pattern else shards_in(path, ".tar")
    first = next((file for files in by_split.values() for file in files), None)
    if first is None or not _is_shard(first, alone=path.is_file()):
        return None
    return Shards(path, by_split)


@dataclass(frozen=True)
class Shards(SplitFiles):
    """Shards by their own split."""

    def records(self, split: str) -> ShardRecords:
        """See `Opened`."""
        labels, classes = self._labels
        own = self._chosen[split]
        index = self._indices[own]
        return ShardRecords(self.where, self.by_split[own], index, labels[own], classes)

    @cached_property
    def _indices(self) -> dict[str, ShardIndex]:
        return {split: index_of(files) for split, files in self.by_split.items()}

    @cached_property
    def _labels(self) -> tuple[dict[str, Labels], tuple[str, ...]]:
        return numbered(
            self.path, {split: list(index.labels) for split, index in self._indices.items()}
        )

    def _name(self, split: str, number: int) -> str:
        return self._indices[split].names[number]


@dataclass(frozen=True, eq=False)
class ShardRecords:
    """`Records` of shards, in the order of the shards and of their members."""

    where: str
    files: tuple[Path, ...]
    index: ShardIndex
    labels: Labels
    classes: tuple[str, ...]
    is_random = True

    def name(self, number: int) -> str:
        """See `Records`."""
        return f"{self.files[self.index.shards[number]].name}/{self.index.names[number]}"

    def read(self, number: int) -> bytes | str:
        """See `Records`."""
        index = self.index
        if index.sizes[number] < 0:
            return "not a regular file, or too large"
        file = self.files[index.shards[number]]
        return read_part(file, int(index.offsets[number]), int(index.sizes[number]))

    def read_all(self) -> Iterator[tuple[int, bytes | str]]:
        """See `Records`."""
        return ((number, self.read(number)) for number in range(len(self.labels)))


def _expanded(path: Path) -> tuple[Path, ...]:
    """`x-{000..002}.tar` as its three files. Raises `InputError` for one that isn't there."""
    found = _RANGE.search(path.name)
    assert found is not None
    first, last = found.groups()
    numbers = range(int(first), int(last) + 1)
    names = [path.name.replace(found[0], str(number).zfill(len(first))) for number in numbers]
    files = tuple(path.with_name(name) for name in names)
    for file in files:
        if not file.is_file():
            raise InputError(f"data: no such file: {file}")
    if not files:
        raise InputError(f"data: {path} names no files")
    return files


def _is_shard(file: Path, alone: bool) -> bool:
    """Whether an archive holds labels beside images; one of many may instead have images named by
    class. A JSON file by itself is no label."""
    keys: dict[bool, set[str]] = {True: set(), False: set()}  # of images, and of labels
    for name, _, _ in islice(members_of(file, "r:*"), _LOOKED_AT):
        folder, _, last = name.rpartition("/")
        if not alone and is_image(name) and wordnet_class(last):
            return True
        if is_image(name) or last.endswith(LABEL_SUFFIXES):
            keys[is_image(name)].add(f"{folder}/{last.partition('.')[0]}")
    return not keys[True].isdisjoint(keys[False])
