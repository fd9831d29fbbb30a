"""Files of one JSON document a line, to which a process that may be killed appends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from search_space import InputError
from senet_nas.data import sync_names

Record = TypeVar("Record")


def append_line(path: Path, line: str) -> None:
    """Add a line, which ends in a newline; it is on disk when this returns."""
    is_first = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if is_first:
        sync_names(path.parent)


def drop_half_line(path: Path) -> None:
    """Cut off what a kill left behind the last newline, so that lines can be appended."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def read_lines(
    path: Path,
    parse: Callable[[str], Record],
    cut_short: Callable[[int], object] = lambda number: None,
) -> list[Record]:
    """What `parse` makes of each line; nothing where there is no file. A line cut short at the end
    is left out, and `cut_short` told its number, from 1.

    Raises `InputError` for a line before it that `parse` refuses with ValueError, KeyError or
    TypeError.
    """
    if not path.exists():
        return []
    records = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        try:
            if not line.endswith("\n"):
                raise ValueError("cut short")
            records.append(parse(line))
        except (ValueError, KeyError, TypeError):
            if line.endswith("\n"):
                raise InputError(f"{path}: line {number} is damaged") from None
            cut_short(number)
    return records
