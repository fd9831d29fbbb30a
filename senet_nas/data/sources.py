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
from typing import Protocol, Self

from search_space.errors import InputError
from senet_nas.data.layout import LABEL_FILES, is_image

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

    @property
    def is_random(self) -> bool:
        """Whether `read` needn't go through what lies before."""
        ...

    def read(self, name: str) -> bytes | str:
        """The content of one of the paths."""
        ...

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | str]]:
        """The content of each wanted path, in any order. Only these files are read."""
        ...

    def side_file(self, name: str) -> bytes | None:
        """The content of a file that is no image, by its path below the top; None for none."""
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
    is_random = True

    def fingerprint(self) -> str:
        """From paths, sizes and times of change: not from the pixels, which would take long."""
        digest = hashlib.sha256()
        for name in (*sorted(self.paths()), *LABEL_FILES):
            try:
                stat = (self.path / name).stat()
            except OSError:
                continue  # no such label file; or a dangling link, named when it is read
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="replace"))
        return digest.hexdigest()

    def paths(self) -> list[str]:
        """Image files at any depth; a folder that links back to its parent is entered once.

        Raises `InputError` for a folder that can't be read: its classes would be missing.
        """
        found, entered = [], set()
        for parent, folders, names in os.walk(self.path, onerror=_refuse, followlinks=True):
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
            yield name, self.read(name)

    def read(self, name: str) -> bytes | str:
        """See `Source`."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            return error.strerror or "unreadable"

    def side_file(self, name: str) -> bytes | None:
        """See `Source`."""
        content = self.read(name) if (self.path / name).is_file() else None
        return content if isinstance(content, bytes) else None


def _refuse(error: OSError) -> None:
    name = Path(error.filename).name
    if name != "lost+found" and is_image(f"{name}/x.png"):  # not of a disk's own, nor hidden
        raise InputError(f"{error.filename}: {error.strerror}")


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
        return [name for name in self._last if is_image(name)]

    @cached_property
    def is_random(self) -> bool:
        """Whether it isn't compressed, whatever its name says."""
        try:
            tarfile.open(self.path, "r:").close()
        except (tarfile.TarError, OSError):
            return False
        return True

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | str]]:
        """In the archive's order; links and devices are named, never followed."""
        names = set(wanted)
        for position, (name, member, archive) in enumerate(self._members()):
            place = self._last.get(name)
            if name not in names or place is None or place.position != position:
                continue
            if place.problem:
                yield name, place.problem
            else:
                file = archive.extractfile(member)
                yield name, file.read() if file else "unreadable"

    def read(self, name: str) -> bytes | str:
        """See `Source`."""
        place = self._last[name]
        if not self.is_random:
            return dict(self.contents([name]))[name]
        return place.problem or read_part(self.path, place.offset, place.size)

    def side_file(self, name: str) -> bytes | None:
        """See `Source`."""
        if name not in self._last:
            return None
        found = dict(self.contents([name]))
        content = found.get(name)
        return content if isinstance(content, bytes) else None

    @cached_property
    def _last(self) -> dict[str, Place]:
        """The last member of each path. Kept, for finding it takes reading a compressed archive
        to its end."""
        return {
            name: Place(position, member.offset_data, member.size, member_problem(member))
            for position, (name, member, _) in enumerate(self._members())
        }

    def _members(self) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
        """Members with their paths in normal form. Raises `InputError` for a damaged archive, and
        for an absolute path or one with `..`."""
        yield from members_of(self.path, "r:*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member of an archive stands: its number, its content's offset and size in bytes, and
    in words why it can't be read, if it can't."""

    position: int
    offset: int
    size: int
    problem: str


def members_of(path: Path, mode: str) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """The members of an archive with their paths in normal form.

    Raises `InputError` for a damaged archive, and for an absolute path or one with `..`.
    """
    name, ends = "", _Ends()
    try:
        with tarfile.open(path, mode, tarinfo=ends.noted) as archive:  # type: ignore[call-overload]
            for member in archive:
                parts = PurePosixPath(member.name)
                if parts.is_absolute() or ".." in parts.parts:
                    raise InputError(f"{path}: member {member.name!r} leaves its folder")
                name = str(parts)
                yield name, member, archive
                archive.members.clear()  # else it keeps each one
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        problem = str(error).split("\n", maxsplit=1)[0].rstrip(":")
        raise InputError(f"{path}: cannot be read as an archive: {problem}") from None
    if not ends.well:
        raise InputError(f"{path}: cannot be read as an archive: cut off or damaged behind {name}")


class _Ends:
    """Whether an archive ends with the mark that stands there. `tarfile` takes whatever isn't the
    header of a member for the end: that of an archive which is cut off, or damaged within."""

    def __init__(self) -> None:
        self.well = True
        ends = self

        class Noted(tarfile.TarInfo):
            __slots__ = ()

            @classmethod
            def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
                try:
                    return super().fromtarfile(archive)
                except tarfile.HeaderError as error:
                    ends.well = type(error).__name__ == "EOFHeaderError"
                    raise

        self.noted = Noted


def read_part(path: Path, offset: int, size: int) -> bytes | str:
    """`size` bytes of a file, or in words why there aren't as many."""
    try:
        with path.open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), size, offset)
    except OSError as error:
        return error.strerror or "unreadable"
    return content if len(content) == size else "cut off"


def member_problem(member: tarfile.TarInfo) -> str:
    """Why a member's content isn't read, in words; empty where it is."""
    if not member.isreg() or member.issparse():
        return "not a regular file"
    return "too large" if member.size > _LARGEST_IMAGE_BYTES else ""
