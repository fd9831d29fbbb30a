"""How far workers are, told to the process that started them by way of the training's folder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from senet_nas.data import write_atomically
from senet_nas.training.state import EpochReport, StepReport

PROGRESS_FILE = ".progress.json"
_SECONDS = 0.5


class Relay:
    """Writes the last step's and the last epoch's report to a file, at most twice a second."""

    def __init__(self, out: Path) -> None:
        self._path = out / PROGRESS_FILE
        self._step: StepReport | None = None
        self._epoch: EpochReport | None = None
        self._written = 0.0

    def after_step(self, report: StepReport) -> None:
        """A step is over."""
        self._step = report
        if time.monotonic() - self._written >= _SECONDS:
            self._write()

    def after_epoch(self, report: EpochReport) -> None:
        """An epoch is over."""
        self._epoch = report
        self._write()

    def _write(self) -> None:
        told = {
            "step": self._step and asdict(self._step),
            "epoch": self._epoch and asdict(self._epoch),
        }
        text = json.dumps(told)
        write_atomically(self._path, lambda path: path.write_text(text, "utf-8"), durable=False)
        self._written = time.monotonic()


@contextmanager
def relayed(
    out: Path,
    on_epoch: Callable[[EpochReport], object] | None,
    on_step: Callable[[StepReport], object] | None,
) -> Iterator[None]:
    """Inside, what a `Relay` writes is passed on, from a thread; short epochs may be missed."""
    path, over = out / PROGRESS_FILE, threading.Event()
    path.unlink(missing_ok=True)

    def watch() -> None:
        seen_epoch, seen_step = None, None
        while True:
            is_last = over.wait(_SECONDS)
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                told = {"step": None, "epoch": None}
            if on_step is not None and told["step"] not in (None, seen_step):
                seen_step = told["step"]
                on_step(StepReport(**seen_step))
            if on_epoch is not None and told["epoch"] not in (None, seen_epoch):
                seen_epoch = told["epoch"]
                on_epoch(EpochReport(**seen_epoch))
            if is_last:
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)
