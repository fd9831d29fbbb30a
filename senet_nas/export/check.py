"""Comparing what was exported with the network it came from, on real images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from senet_nas.data import load_images, normalise
from senet_nas.export import Exported, ExportError

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint

TOLERANCE = 1e-3  # of the logits' largest magnitude
BATCH_SIZES = (1, 8)


def check_images(checkpoint: Checkpoint, count: int = 32) -> Tensor:
    """Images of the carried sample as the network takes them: float32 (count, 3, H, W)."""
    images = load_images(None, "train", checkpoint.image_size)
    chosen = images.pixels[:: max(1, len(images) // count)][:count]
    mean, std = torch.tensor(checkpoint.mean), torch.tensor(checkpoint.std)
    return normalise(chosen, mean, std, torch.float32).contiguous()


def compare(
    path: Path, network: nn.Module, images: Tensor, run: Callable[[Tensor], Tensor]
) -> Exported:
    """Compare `run`, from a batch of images to logits, with the network, in batches of 1 and 8.

    Raises `ExportError` where logits differ by more than a thousandth of the largest of them.
    """
    with torch.inference_mode():
        expected = network(images)
    largest, agreeing = 0.0, 100.0
    for size in BATCH_SIZES:
        got = torch.cat([run(batch) for batch in torch.split(images, size)])
        largest = max(largest, (got - expected).abs().max().item())
        same = (got.argmax(1) == expected.argmax(1)).float().mean().item()
        agreeing = min(agreeing, 100 * same)
    allowed = TOLERANCE * max(1.0, expected.abs().max().item())
    if not largest <= allowed:
        raise ExportError(
            f"{path}: its logits differ from the network's by {largest:.3g}, more than "
            f"{allowed:.3g}; nothing was kept"
        )
    return Exported(path, len(images), largest, agreeing)
