"""Writing a file so that no reader, and no crash, ever meets half of it; holding a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search_space.errors import InputError

LOCK_FILE = ".lock"  # written when it is taken


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    Where `write` raises, `path` is as it was and the temporary file is gone. durable: what was
    written outlasts a loss of power from when this returns; without, only a killed process.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        write(temporary)
        if durable:  # before the rename: else the name could outlast the content
            sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_names(path.parent)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Inside, no other process is in `alone` with this file, for which one waits. Where it can't be
    written, or the file system has no locks, nobody is waited for: at worst work is done twice."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context(path.open("w")), fcntl.LOCK_EX)
        yield


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Hold an existing folder for this process alone; a dead process lets go by itself.

    Raises `InputError` saying `busy` where another holds it, and where it can't be written.
    """
    path = folder / LOCK_FILE
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(busy) from None
        except OSError as error:  # a file system without locks
            raise InputError(f"{path}: {error.strerror}") from None
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process holds a folder by `locked`."""
    try:
        with (folder / LOCK_FILE).open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def sync(path: Path) -> None:
    """Wait until a file is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: Path) -> None:
    """Wait until a folder's list of names is on disk; some network file systems can't."""
    with contextlib.suppress(OSError):
        sync(folder)
