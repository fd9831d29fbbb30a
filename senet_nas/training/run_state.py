"""What a retraining keeps in its folder so that it can go on after any interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from search_space import checks
from search_space.errors import InputError
from senet_nas.data import write_atomically
from senet_nas.training.checkpoint import load_tensors, save_tensors
from senet_nas.training.recipe import Recipe
from senet_nas.training.state import TrainingState

STATE_FILE = "state.safetensors"
METRICS_FILE = "metrics.jsonl"

_DEFAULTS = json.loads(
    json.dumps({e.name: e.default for e in fields(Recipe) if e.default is not MISSING})
)
del _DEFAULTS["name"]
_KINDS = ("weights", "momentum", "average", "rng", "sums")


def save_state(out: Path, state: TrainingState, identity: dict[str, Any], seconds: float) -> None:
    """Write where training stands. identity: what must be the same to go on. seconds: trained."""
    write_state(out / STATE_FILE, state, {"seconds": seconds, "identity": identity})


def load_state(out: Path, identity: dict[str, Any]) -> tuple[TrainingState | None, float]:
    """What `save_state` wrote, and the seconds trained; (None, 0) where there is nothing yet.

    Raises `InputError` where it is damaged or of another identity.
    """
    path = out / STATE_FILE
    if not path.exists():
        return None, 0.0
    state, about = read_state(path)
    if not {"seconds", "identity"} <= about.keys():
        raise InputError(f"{path}: not a training state of senet-nas")
    check_identity(path, about["identity"], identity)
    return state, float(about["seconds"])


def write_state(path: Path, state: TrainingState, about: Mapping[str, Any]) -> None:
    """Write where training stands, and JSON about it, by way of a temporary file."""
    tensors = {
        f"{kind}/{name}": tensor for kind in _KINDS for name, tensor in getattr(state, kind).items()
    }
    save_tensors(path, tensors, {**about, "epoch": state.epoch, "step": state.step})


def read_state(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """What `write_state` wrote. Raises `InputError` where it is missing or damaged."""
    tensors, about = load_tensors(path, "training state")
    if "epoch" not in about:
        raise InputError(f"{path}: not a training state of senet-nas")
    kinds: dict[str, dict[str, Tensor]] = {kind: {} for kind in _KINDS}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind not in kinds:
            raise InputError(f"{path}: not a training state of senet-nas: it holds {name}")
        kinds[kind][rest] = tensor
    # A state of an earlier version stands between two epochs.
    return TrainingState(int(about["epoch"]), step=int(about.get("step", 0)), **kinds), about


def check_identity(path: Path, found: dict[str, Any], identity: dict[str, Any]) -> None:
    """Raise `InputError` where a file belongs to another training, naming what differs."""
    checks.mapping(f"{path}: identity", found)
    for key, wanted in json.loads(json.dumps(identity)).items():
        held = found.get(key)
        if key == "recipe" and isinstance(held, dict):
            held = _DEFAULTS | held  # it may have been made before there were some of the settings
        if held != wanted:
            raise InputError(
                f"{path}: was made with another {key}{_difference(held, wanted)}; "
                "give the same to go on, or name another folder with --out"
            )


def trim_metrics(out: Path, epochs: int, step: int = 0) -> None:
    """Drop the lines of what comes after so many epochs, and steps of the next, which will be
    trained again, and a torn one."""
    path = out / METRICS_FILE
    if not path.exists():
        return
    kept = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if (entry := _parsed(line)) is not None and _is_done(entry, epochs, step)
    ]
    text = "".join(f"{line}\n" for line in kept)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def append_metrics(out: Path, line: Mapping[str, Any]) -> None:
    """One line of JSON for an epoch, or with `step` for some steps of one; it is on disk when this
    returns, so that no state is ahead of its metrics."""
    with (out / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _is_done(entry: Mapping[str, Any], epochs: int, step: int) -> bool:
    """Whether a line is of the first `epochs` epochs, or of the first steps of the next."""
    if entry["epoch"] <= epochs:
        return True
    return "step" in entry and entry["epoch"] == epochs + 1 and entry["step"] <= step


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry


def _difference(found: object, wanted: object) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = [f"{k} {found.get(k)!r}, not {v!r}" for k, v in wanted.items() if found.get(k) != v]
        return f" ({'; '.join(parts)})"
    short = isinstance(wanted, int | float)
    return f" ({found!r}, not {wanted!r})" if short else ""
