"""ONNX in eight bits by static quantisation (onnxruntime's): weights by channel, activations by the
range that they have on calibration images, and what that costs on others."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from search_space import InputError, checks
from senet_nas.export import Exported, ExportError
from senet_nas.export.check import BATCH_SIZES, Opened, agreement, opened_alike, outputs
from senet_nas.export.writing import written_together

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages
    from senet_nas.training import Checkpoint

BATCH_SIZE = 32


@dataclass(frozen=True)
class Quantisation:
    """calibration, held: numbers of images. least_agreement: the percentage of the held ones that
    must keep their top class."""

    calibration: int
    held: int
    least_agreement: float

    def __post_init__(self) -> None:
        checks.integer("calibration", self.calibration, least=1)
        checks.integer("held", self.held, least=1)
        if not 0 <= self.least_agreement <= 100:
            raise InputError(f"least_agreement must be 0 to 100, not {self.least_agreement}")

    def export(
        self,
        path: Path,
        checkpoint: Checkpoint,
        images: RealImages,
        model: Any,
        opened: Callable[[Path], Opened],
    ) -> Exported:
        """Write a model, quantised, to `path`, and compare it with the network on held images.

        Raises `ExportError` where fewer keep their top class than must.
        """
        batch, labels = images.labelled(self.calibration + self.held)
        calibrating, held = self._divided(len(batch))
        with torch.inference_mode():
            expected = outputs(checkpoint.network(), batch[held], BATCH_SIZE)

        def write_and_check(temporary: Path) -> Exported:
            _quantise(model, temporary, batch[calibrating])
            run = opened_alike(path, opened(temporary), images)
            got = [outputs(run, batch[held], size) for size in BATCH_SIZES]
            agreeing = min(agreement(one, expected) for one in got)
            if not agreeing >= self.least_agreement:
                raise ExportError(
                    f"{path}: in int8 {agreeing:.1f}% of {len(held)} images keep their top class, "
                    f"fewer than --least-agreement {self.least_agreement:g}; nothing was kept"
                )
            largest = max((one - expected).abs().max().item() for one in got)
            details: dict[str, Any] = {"calibration_images": len(calibrating)}
            if labels is not None:
                details |= _accuracies(expected, got[-1], labels[held])
            details["bytes"] = temporary.stat().st_size
            return Exported(path, len(held), largest, agreeing, details, BATCH_SIZES)

        return written_together(path, write_and_check)

    def _divided(self, count: int) -> tuple[Tensor, Tensor]:
        """Numbers of the images to calibrate with and of the held ones, both from all classes."""
        if count < 2:
            raise InputError(f"{count} images are too few to calibrate with some and check others")
        share = self.calibration / (self.calibration + self.held)
        wanted = min(max(1, round(count * share)), count - 1)
        chosen = torch.arange(wanted) * count // wanted
        others = torch.ones(count, dtype=torch.bool)
        others[chosen] = False
        return chosen, others.nonzero().flatten()


def _quantise(model: Any, path: Path, images: Tensor) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader:
        """Batches of the calibration images."""

        def __init__(self) -> None:
            self.batches = iter(torch.split(images, BATCH_SIZE))

        def get_next(self) -> dict[str, Any] | None:
            """The next batch, None at the end."""
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.numpy()}

    full, prepared = path.with_name("full.onnx"), path.with_name("prepared.onnx")
    full.write_bytes(model.SerializeToString())
    with _quiet():
        # Symbolic shapes fail for some graphs; ONNX's own inference finds all that is needed here.
        quant_pre_process(full, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # On x86 onnxruntime fuses only convolutions of unsigned activations: signed ones are
            # slower than float32. Seven bits of weights, or these would saturate without VNNI.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
        )
    full.unlink()
    prepared.unlink()


def _accuracies(expected: Tensor, got: Tensor, labels: Tensor) -> dict[str, float]:
    """Percent of the held images, and what eight bits cost of them."""
    before, after = (
        100 * (logits.argmax(1) == labels).double().mean().item() for logits in (expected, got)
    )
    return {"accuracy": before, "accuracy_int8": after, "accuracy_cost": before - after}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice, which is for other ways to quantise."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
