"""What a retraining keeps in its folder so that it can go on after any interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search_space import checks
from search_space.errors import InputError
from senet_nas.data import write_atomically
from senet_nas.training.checkpoint import load_tensors, save_tensors
from senet_nas.training.loop import EpochReport, TrainingState

STATE_FILE = "state.safetensors"
METRICS_FILE = "metrics.jsonl"


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
    tensors = {f"weights/{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"momentum/{name}": tensor for name, tensor in state.momentum.items()}
    save_tensors(path, tensors, {**about, "epoch": state.epoch})


def read_state(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """What `write_state` wrote. Raises `InputError` where it is missing or damaged."""
    tensors, about = load_tensors(path, "training state")
    if "epoch" not in about:
        raise InputError(f"{path}: not a training state of senet-nas")
    weights, momentum = (
        {name.removeprefix(kind): t for name, t in tensors.items() if name.startswith(kind)}
        for kind in ("weights/", "momentum/")
    )
    return TrainingState(int(about["epoch"]), weights, momentum), about


def check_identity(path: Path, found: dict[str, Any], identity: dict[str, Any]) -> None:
    """Raise `InputError` where a file belongs to another training, naming what differs."""
    checks.mapping(f"{path}: identity", found)
    for key, wanted in json.loads(json.dumps(identity)).items():
        if found.get(key) != wanted:
            raise InputError(
                f"{path}: was made with another {key}{_difference(found.get(key), wanted)}; "
                "give the same to go on, or name another folder with --out"
            )


def trim_metrics(out: Path, epochs: int) -> None:
    """Drop the lines of epochs after `epochs`, which will be trained again, and a torn one."""
    path = out / METRICS_FILE
    if not path.exists():
        return
    kept = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if (entry := _parsed(line)) is not None and entry["epoch"] <= epochs
    ]
    text = "".join(f"{line}\n" for line in kept)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def append_metrics(out: Path, report: EpochReport) -> None:
    """One line of JSON for an epoch; it is on disk when this returns, so that no state is ahead
    of its metrics."""
    with (out / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(report)) + "\n")
        file.flush()
        os.fsync(file.fileno())


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
