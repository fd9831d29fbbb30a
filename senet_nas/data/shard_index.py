"""Where the images of tar shards stand, and their labels: told from the members' headers once."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search_space.errors import InputError
from senet_nas.data.files import write_atomically
from senet_nas.data.layout import IMAGE_SUFFIXES, is_image, wordnet_class
from senet_nas.data.names import Names
from senet_nas.data.shards import NO_LABEL, files_fingerprint
from senet_nas.data.sources import member_problem, members_of
from senet_nas.nn.user_cache import default_cache

LABEL_SUFFIXES = (".cls", ".json")

_log = logging.getLogger(__name__)
_FORMAT = "1"  # raise it when the same shards would be indexed otherwise
_LABEL_KEYS = ("label", "cls", "class", "class_id")
_LARGEST_LABEL_BYTES = 2**20
_KEPT_FROM = 1000  # images; fewer are found again at once


@dataclass(frozen=True, slots=True, eq=False)
class ShardIndex:
    """names: of N images in their shards. shards: int32 (N,), the number of each one's file.
    offsets, sizes: int64 (N,), in bytes; a size of -1 is a member that can't be read. labels: as
    text."""

    names: Names
    shards: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    labels: Names


@dataclass(slots=True)
class _Sample:
    """What one shard has under one key."""

    name: str = ""
    offset: int = 0
    size: int = -1
    label: str = NO_LABEL


def index_of(files: Sequence[Path]) -> ShardIndex:
    """The index of shards, kept in the default cache where there are many images.

    Raises `InputError` for a damaged shard, a member that leaves its folder, a label that is none,
    and two images of one key.
    """
    key = hashlib.sha256(f"{_FORMAT}\0{files_fingerprint(files)}".encode()).hexdigest()[:32]
    kept = default_cache() / f"{key}.index.npz"
    index = _read(kept)
    if index is None:
        index = _joined([_samples(file) for file in files])
        if len(index.shards) >= _KEPT_FROM:
            _write(kept, index)
    return index


def _samples(file: Path) -> list[_Sample]:
    """The images of one shard, in its order."""
    samples: dict[str, _Sample] = {}
    for name, member, archive in members_of(file, "r:"):
        folder, _, last = name.rpartition("/")
        key, _, kind = last.partition(".")
        suffix = f".{kind.lower()}"
        if suffix not in (*LABEL_SUFFIXES, *IMAGE_SUFFIXES) or last.startswith("."):
            continue
        sample = samples.setdefault(f"{folder}/{key}", _Sample())
        problem = member_problem(member)
        if is_image(name):
            if sample.name not in ("", name):
                raise InputError(f"{file}: which is the image, {sample.name} or {name}?")
            sample.name, sample.offset = name, member.offset_data
            sample.size = -1 if problem else member.size
            if sample.label == NO_LABEL and (class_name := wordnet_class(last)):
                sample.label = class_name
        elif not problem and member.size <= _LARGEST_LABEL_BYTES:
            content = archive.extractfile(member)
            sample.label = _label(f"{file}: {name}", suffix, content.read() if content else b"")
    return [sample for sample in samples.values() if sample.name]


def _label(where: str, suffix: str, content: bytes) -> str:
    """A label as text: a number or a name."""
    try:
        text = content.decode("utf-8").strip()
        found = json.loads(text) if suffix == ".json" else text
    except (ValueError, RecursionError):
        raise InputError(f"{where}: no label can be read from it") from None
    if isinstance(found, dict):
        found = next((found[key] for key in _LABEL_KEYS if key in found), NO_LABEL)
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise InputError(f"{where}: a label must be a number or a name, not {found!r}")
    if found == "":  # one among numbers would make names of them all
        raise InputError(f"{where}: no label can be read from it")
    return str(found)


def _joined(by_shard: Sequence[Sequence[_Sample]]) -> ShardIndex:
    samples = [sample for shard in by_shard for sample in shard]
    return ShardIndex(
        Names.of(sample.name for sample in samples),
        np.repeat(np.arange(len(by_shard)), [len(shard) for shard in by_shard]).astype(np.int32),
        np.array([sample.offset for sample in samples], np.int64),
        np.array([sample.size for sample in samples], np.int64),
        Names.of(sample.label for sample in samples),
    )


def _read(path: Path) -> ShardIndex | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return ShardIndex(
                Names(file["letters"], file["ends"]),
                file["shards"],
                file["offsets"],
                file["sizes"],
                Names(file["label_letters"], file["label_ends"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("%s is damaged, shards are indexed again: %s", path, error)
        return None


def _write(path: Path, index: ShardIndex) -> None:
    arrays = {
        "letters": index.names.letters,
        "ends": index.names.ends,
        "shards": index.shards,
        "offsets": index.offsets,
        "sizes": index.sizes,
        "label_letters": index.labels.letters,
        "label_ends": index.labels.ends,
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write, durable=False)
    except OSError as error:
        _log.warning("the index of the shards could not be kept in %s: %s", path.parent, error)
