"""What a run was: its definition, and what it was made with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from search_space import InputError
from senet_nas.search import RunFolder
from senet_nas.search.launches import launches, versions


def facts(folder: RunFolder) -> dict[str, Any]:
    """`run_file`: its text. `seeds`: its settings of that name. `launches`: when, with which
    versions and on which machine it was started and went on; none where an older version made it.
    `writer`: the version of what writes the page."""
    path = folder.path / "run.toml"
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return {
        "run_file": text,
        "seeds": _seeds(text),
        "launches": [asdict(launch) for launch in launches(folder)],
        "writer": versions()["senet-nas"],
    }


def _seeds(text: str) -> dict[str, int]:
    import tomllib

    try:
        sections = tomllib.loads(text)
    except ValueError:
        return {}
    return {
        f"{name}.seed": section["seed"]
        for name, section in sections.items()
        if isinstance(section, dict) and isinstance(section.get("seed"), int)
    }
