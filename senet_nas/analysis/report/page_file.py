"""The page's file: its template, styles, programs, plotly and a run's data in one."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from search_space import InputError
from senet_nas.analysis.fronts import open_runs
from senet_nas.analysis.report.gathering import gather
from senet_nas.data import write_atomically

# plotly.js's own small bundle: evaluating the whole one takes longer than all else on the page.
PLOTLY = "plotly-basic.min.js"

# In the order in which they are read: each may use those before it.
PROGRAMS = (
    "basics",
    "plots",
    "front",
    "network",
    "genealogy",
    "se_map",
    "gates",
    "trust",
    "volume",
    "curves",
    "effects",
    "run",
    "start",
)


def write_report(
    directory: Path,
    path: Path | None = None,
    *,
    random: Path | None = None,
    beside: Sequence[Path] = (),
    gates: Sequence[Path] = (),
) -> Path:
    """Write a run's page to `path`, DIR/report.html where none is given, and return that.

    directory: the run's, as commands on the page name it. random, beside: runs that it is held
    against. gates: what `senet-nas gates --out` wrote of networks; the run's own where none is
    given. Raises `InputError` where a run or file can't be read or compared, and where the page
    can't be written.
    """
    views, against = open_runs([directory, *beside], random, None, lambda done, of: None)
    text = page(gather(views[0], against, views[1:], gates))
    target = path or directory / "report.html"
    try:
        write_atomically(target, lambda file: file.write_text(text, "utf-8", "replace"))
    except OSError as error:
        raise InputError(f"{target}: {error.strerror}") from None
    return target


def page(data: dict[str, Any]) -> str:
    """The page of gathered data."""
    own = "\n".join(_part(f"{name}.js") for name in PROGRAMS)
    parts = {
        "TITLE": html.escape(str(data["name"])),
        "STYLE": _part("style.css"),
        "DATA": _inlined(data),
        "PLOTLY": _part(PLOTLY),
        "PROGRAM": f'(() => {{\n"use strict";\n{own}\n}})();',
    }
    # Split once, so that nothing in a run's data can stand for a part.
    head, *rest = _part("template.html").split("{{")
    pieces = [head]
    for piece in rest:
        key, after = piece.split("}}", 1)
        pieces += [parts[key], after]
    return "".join(pieces)


def _inlined(data: dict[str, Any]) -> str:
    """JSON that may stand in a script element, whatever texts it holds."""
    text = json.dumps(_finite(data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _part(name: str) -> str:
    return (resources.files("senet_nas.analysis.report") / "page" / name).read_text("utf-8")
