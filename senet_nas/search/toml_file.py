"""What run files and ablation files share: reading TOML, `--set` over it, faults in one line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from search_space import InputError
from search_space.checks import parse_assignment
from search_space.errors import one_of


class Section(BaseModel):
    """A table of such a file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def read_table(path: Path, kind: str) -> dict[str, Any]:
    """The file as a parsed table. kind: what it should be, such as "run file".

    Raises `InputError` naming the file.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such {kind}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a {kind}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply") from None


def lay_over(table: dict[str, Any], assignment: str) -> None:
    """Lay one `--set section.key=value` over the table."""
    path, value = parse_assignment(assignment)
    put(table, path, value, f"--set {assignment}")


def put(table: dict[str, Any], path: Sequence[str], value: object, where: str) -> None:
    """Put a value into the table, at the keys from the outermost section inwards. where: names it
    in errors."""
    *sections, key = path
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"{where}: {section} is not a section")
    table[key] = value


def first_fault(model: type[BaseModel], error: ValidationError) -> str:
    """One fault in one line: the key, what was given, what is allowed. Unknown keys come first:
    a misspelt section is unknown, and the right one missing. model: of the whole file."""
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    *path, last = fault["loc"]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        section = f"{'.'.join(map(str, path))}: key" if path else "section"
        return str(one_of(section, last, _fields_at(model, path)))
    if fault["type"] == "missing":
        return f"the key {key!r} is missing"
    return f"{key}: {fault['msg'].lower()}, not {fault['input']!r}"


def _fields_at(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    here: Any = model
    for part in path:
        fields = getattr(here, "model_fields", None)
        # In a mapping from names to sections any name leads to the section, in a list any number.
        here = get_args(here)[-1] if fields is None else fields[part].annotation
        if NoneType in get_args(here):  # a section that may be absent
            here = get_args(here)[0]
    return list(here.model_fields)


def without_none(value: Any) -> Any:
    """The same tables without the keys that hold None, which TOML can't write."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return value


def absolute(text: str | None) -> str | None:
    """The path in full where the text is one."""
    is_path = text is not None and (text.endswith(".toml") or Path(text).exists())
    return str(Path(text).resolve()) if text is not None and is_path else text
