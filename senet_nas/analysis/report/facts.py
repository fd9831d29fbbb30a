"""What a run was: its definition, and what else its folder holds that the page shows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from search_space import InputError
from senet_nas.search import RunFolder
from senet_nas.search.launches import launches, versions

BESIDE = ("trust.json", "gates.json")
MOST_BYTES = 1_000_000  # of such a file; a page shows no more


def facts(folder: RunFolder) -> dict[str, Any]:
    """`run_file`: its text. `seeds`: its settings of that name. `launches`: when, with which
    versions and on which machine it was started and went on; none where an older version made it.
    `writer`: versions of what writes the page. `beside`: what trust.json and gates.json hold, where
    they are there, else why they can't be shown."""
    path = folder.path / "run.toml"
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return {
        "run_file": text,
        "seeds": _seeds(text),
        "launches": [asdict(launch) for launch in launches(folder)],
        "writer": {name: versions("plotly")[name] for name in ("senet-nas", "plotly")},
        "beside": {name: _read(folder, name) for name in BESIDE if (folder.path / name).is_file()},
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


def _read(folder: RunFolder, name: str) -> dict[str, Any]:
    path = folder.path / name
    try:
        if path.stat().st_size > MOST_BYTES:
            return {"fault": f"larger than {MOST_BYTES // 1_000_000} MB"}
        return {"data": json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError) as error:
        return {"fault": f"can't be read: {error}"}
