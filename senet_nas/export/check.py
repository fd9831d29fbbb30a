"""Comparing what was exported with the network it came from, on real images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from senet_nas.export import Exported, ExportError
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.export.writing import written_together

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages
    from senet_nas.training import Checkpoint

TOLERANCE = 1e-3
BATCH_SIZES = (1, 8)

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Opened:
    """An exported file, ready to use. run: from a batch of images, float32 (N, 3, H, W), to logits
    (N, classes)."""

    run: Run
    preprocessing: Preprocessing


def compare(
    path: Path, network: nn.Module, images: Tensor, run: Run, tolerance: float = TOLERANCE
) -> Exported:
    """Compare `run`, from a batch of images to logits, with the network, in batches of 1 and 8.

    tolerance: as a share of how far logits vary between images, or of a tenth of the largest.
    Raises `ExportError` where they differ by more.
    """
    with torch.inference_mode():
        expected = network(images)
    varying = (expected - expected.mean(0)).abs().max().item()
    allowed = tolerance * max(varying, expected.abs().max().item() / 10)
    largest, agreeing = 0.0, 100.0
    for size in BATCH_SIZES:
        got = outputs(run, images, size)
        if got.shape != expected.shape:
            raise ExportError(
                f"{path}: its logits are {list(got.shape)}, the network's {list(expected.shape)}; "
                "nothing was kept"
            )
        difference = (got - expected).abs().max().item()
        if not difference <= allowed:  # nor NaN
            raise ExportError(
                f"{path}: its logits differ from the network's by {difference:.3g}, more than "
                f"{allowed:.3g}; nothing was kept"
            )
        largest = max(largest, difference)
        agreeing = min(agreeing, agreement(got, expected))
    return Exported(path, len(images), largest, agreeing, batch_sizes=BATCH_SIZES)


def outputs(run: Run, images: Tensor, batch_size: int) -> Tensor:
    """The logits of all images, some at a time."""
    return torch.cat([run(batch).float() for batch in torch.split(images, batch_size)])


def agreement(first: Tensor, second: Tensor) -> float:
    """The percentage of rows with the same top class."""
    return 100 * (first.argmax(1) == second.argmax(1)).float().mean().item()


def opened_alike(path: Path, found: Opened, images: RealImages) -> Run:
    """What runs the opened file. Raises `ExportError` where it has other preprocessing or class
    names than the network."""
    if found.preprocessing != images.preprocessing:
        raise ExportError(
            f"{path}: its preprocessing or class names are not the network's; nothing was kept"
        )
    return found.run


def write_and_compare(
    path: Path,
    checkpoint: Checkpoint,
    images: RealImages,
    write: Callable[[Path], object],
    opened: Callable[[Path], Opened],
    tolerance: float = TOLERANCE,
) -> Exported:
    """Let `write` fill a temporary file, open it, compare, and only then give it its name.

    What `write` puts beside its file takes its place beside it. Raises `ExportError` where logits
    or preprocessing differ.
    """
    network = checkpoint.network()

    def write_and_check(temporary: Path) -> Exported:
        write(temporary)
        run = opened_alike(path, opened(temporary), images)
        return compare(path, network, images.batch(), run, tolerance)

    return written_together(path, write_and_check)
