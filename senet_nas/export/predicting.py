"""Using any file that holds a network: what it is, opening it, and its classes for images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from search_space import InputError
from search_space.errors import RunError
from search_space.registry import lookup
from senet_nas.export import FORMATS, format_names
from senet_nas.export.check import Opened
from senet_nas.export.loading import load
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.nn.trust import TRUST_VARIABLE

CHECKPOINT = "checkpoint"
AT_A_TIME = 32  # images


@dataclass(frozen=True, slots=True)
class Guess:
    """One class for one image. index: its place among the logits. probability: 0 to 1."""

    name: str
    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """An image's most probable classes, the first the most."""

    image: str
    top: tuple[Guess, ...]

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"image": self.image, "top": [asdict(guess) for guess in self.top]}


def predict(
    path: Path, images: Sequence[Path], top: int = 5, *, trusted: bool = False
) -> list[Prediction]:
    """The most probable classes of image files, by the network in a checkpoint or an export.

    trusted: whether the file may be one that is run as a program. Raises `InputError` for a file
    that holds no network, or is a program and not trusted, and for images that can't be read.
    """
    opened = open_network(path, trusted=trusted)
    found: list[Prediction] = []
    for start in range(0, len(images), AT_A_TIME):
        part = images[start : start + AT_A_TIME]
        logits = _run(path, opened, opened.preprocessing.read(part))
        probable = logits.double().softmax(1).topk(min(top, logits.shape[1]))
        for image, shares, indices in zip(part, probable.values, probable.indices, strict=True):
            guesses = zip(shares.tolist(), indices.tolist(), strict=True)
            names = opened.preprocessing.classes
            top_guesses = tuple(Guess(names[index], index, share) for share, index in guesses)
            found.append(Prediction(str(image), top_guesses))
    return found


def print_predictions(predictions: Sequence[Prediction]) -> None:
    """A table for each image, under its name."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    for prediction in predictions:
        table = Table(show_header=False)
        for guess in prediction.top:
            table.add_row(Text(guess.name), f"{100 * guess.probability:.2f}%")
        Console().print(Text(prediction.image), soft_wrap=True)
        Console().print(table)


def open_network(path: Path, *, trusted: bool = False) -> Opened:
    """The network in a checkpoint or in an exported file. Raises `InputError`."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    module = format_of(path)
    if module is None:
        checkpoint = load(path)
        network = checkpoint.network()
        return Opened(network, Preprocessing.of(checkpoint))
    if getattr(module, "RUNS_CODE", False) and not (trusted or _names(path)):
        raise InputError(
            f"{path} is a program, which predict would run with your rights; if it is from "
            f"somebody whom you trust, say --trust, or set {TRUST_VARIABLE}={path}"
        )
    try:
        opened: Opened = module.opened(path)
    except (InputError, RunError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a library raises for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path}: damaged, or not what it seems: {reason[0][:200]}") from None
    return opened


def format_of(path: Path) -> ModuleType | None:
    """The format whose `recognises` says that a file is its own; None for a checkpoint.

    Raises `InputError` for what is neither.
    """
    for name in format_names():
        module = lookup(FORMATS, name, "format")
        if hasattr(module, "opened") and module.recognises(path):
            return module
    if path.suffix == ".safetensors" and path.is_file():
        return None
    raise InputError(
        f"{path}: not a network that predict can open (allowed: a checkpoint, or an export as "
        f"{', '.join(format_names())})"
    )


def _names(path: Path) -> bool:
    """Whether the user's variable names the file; entries are separated by commas."""
    entries = os.environ.get(TRUST_VARIABLE, "").split(",")
    return any(e.strip() and Path(e.strip()).absolute() == path.absolute() for e in entries)


@torch.inference_mode()
def _run(path: Path, opened: Opened, images: Tensor) -> Tensor:
    try:
        logits = opened.run(images)
    except Exception as error:  # whatever a library raises for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path}: can't run on images: {reason[0][:200]}") from None
    wanted = (len(images), len(opened.preprocessing.classes))
    if tuple(logits.shape) != wanted:
        raise InputError(f"{path}: gives {list(logits.shape)} for {wanted[0]} images, not {wanted}")
    if not bool(logits.isfinite().all()):
        raise InputError(f"{path}: its logits are not finite numbers")
    return logits
