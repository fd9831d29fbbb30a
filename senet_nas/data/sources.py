"""Where images come from: a folder or an archive. Nothing is ever extracted to disk."""

from __future__ import annotations

import hashlib
import lzma
import os
import tarfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from search_space.errors import InputError
from senet_nas.data.layout import is_image

ARCHIVE_SUFFIXES = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".txz")
_LARGEST_IMAGE_BYTES = 256 * 2**20


class Source(Protocol):
    """Files by relative path. A content is its bytes, or in words why there are none."""

    @property
    def path(self) -> Path:
        """What the user named."""
        ...

    def fingerprint(self) -> str:
        """Text that changes when the content does."""
        ...

    def paths(self) -> list[str]:
        """The relative paths of the images, each once, `/` between folders, in any order."""
        ...

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | str]]:
        """The content of each wanted path, in any order. Only these files are read."""
        ...


def open_source(data: str | Path) -> Source:
    """The source at a path. Raises `InputError` where there is none that can be read."""
    path = Path(data).expanduser()
    if path.is_dir():
        return Folder(path)
    if not path.exists():
        raise InputError(f"data: no such file or folder: {path} (or: cifar10, to download it)")
    if not path.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise InputError(
            f"data: {path} is no folder and no archive ({', '.join(ARCHIVE_SUFFIXES)})"
        )
    return Archive(path)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of images; links in it are followed."""

    path: Path

    def fingerprint(self) -> str:
        """From paths, sizes and times of change: not from the pixels, which would take long."""
        digest = hashlib.sha256()
        for name in sorted(self.paths()):
            try:
                stat = (self.path / name).stat()
            except OSError:
                continue  # a dangling link: found again, and named, when it is read
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="replace"))
        return digest.hexdigest()

    def paths(self) -> list[str]:
        """Image files at any depth; a folder that links back to its parent is entered once."""
        found, entered = [], set()
        for parent, folders, names in os.walk(self.path, followlinks=True):
            stat = Path(parent).stat()
            if (stat.st_dev, stat.st_ino) in entered:
                folders.clear()
                continue
            entered.add((stat.st_dev, stat.st_ino))
            below = Path(parent).relative_to(self.path)
            found += [(below / name).as_posix() for name in names]
        return [name for name in found if is_image(name)]

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | str]]:
        """One file at a time, in the order given."""
        for name in wanted:
            try:
                yield name, (self.path / name).read_bytes()
            except OSError as error:
                yield name, error.strerror or "unreadable"


@dataclass(frozen=True)
class Archive:
    """A tar archive, compressed or not, read in memory as a stream. Of members with one path the
    last counts, as for `tar`, whose `-r` replaces a file by appending another."""

    path: Path

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def paths(self) -> list[str]:
        """Members that name images, whatever their type. Raises `InputError` as `_members`."""
        return list(self._last)

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | str]]:
        """In the archive's order; links and devices are named, never followed."""
        names = set(wanted)
        for position, (name, member, archive) in enumerate(self._members()):
            if name not in names or self._last.get(name) != position:
                continue
            if not member.isreg():
                yield name, "not a regular file"
            elif member.size > _LARGEST_IMAGE_BYTES:
                yield name, "too large"
            else:
                file = archive.extractfile(member)
                yield name, file.read() if file else "unreadable"

    @cached_property
    def _last(self) -> dict[str, int]:
        """The position of the last member of each image's path. Kept, for finding it takes
        reading a compressed archive to its end."""
        members = enumerate(self._members())
        return {name: position for position, (name, _, _) in members if is_image(name)}

    def _members(self) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
        """Members with their paths in normal form.

        Raises `InputError` for a damaged archive, and for an absolute path or one with `..`.
        """
        try:
            with tarfile.open(self.path, "r:*") as archive:
                for member in archive:
                    parts = PurePosixPath(member.name)
                    if parts.is_absolute() or ".." in parts.parts:
                        raise InputError(f"{self.path}: member {member.name!r} leaves its folder")
                    yield str(parts), member, archive
        except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
            raise InputError(f"{self.path}: cannot be read as an archive: {error}") from None
