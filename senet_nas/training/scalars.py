"""Scalars for TensorBoard, where a library that writes them is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search_space.errors import InputError
from senet_nas.training.state import EpochReport

FOLDER = "tensorboard"


class Scalars:
    """Writes the numbers of steps and epochs to a folder in `out`, made with the first of them.

    Raises `InputError` where neither tensorboardX nor tensorboard is installed.
    """

    def __init__(self, out: Path) -> None:
        self._make = _writer_class()
        self._folder = out / FOLDER
        self._writer: Any = None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of the steps up to this one, counted from 1 over the whole training."""
        for name in ("loss", "learning_rate", "images_per_second"):
            self._open(step).add_scalar(f"step/{name}", values[name], step)
        self._writer.flush()

    def add_epoch(self, report: EpochReport) -> None:
        """Numbers of an epoch."""
        for name in ("loss", "learning_rate", "images_per_second"):
            value = getattr(report, name)
            self._open(report.epoch).add_scalar(f"epoch/{name}", value, report.epoch)
        self._writer.flush()

    def _open(self, step: int) -> Any:
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=step)
        return self._writer


def has_writer() -> bool:
    """Whether a library that writes scalars is installed."""
    return any(find_spec(name) is not None for name in ("tensorboardX", "tensorboard"))


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "scalars for TensorBoard need tensorboardX or tensorboard: pip install tensorboardX"
            ) from None
    return SummaryWriter
