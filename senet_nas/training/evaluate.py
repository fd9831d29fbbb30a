"""How well a network classifies images: exact counts over all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from search_space.errors import InputError
from senet_nas.data import RGB, ImageSet, normalise
from senet_nas.training.device import as_device
from senet_nas.training.loop import NonFiniteLossError
from senet_nas.training.precision import mixed_precision, resolve_precision


@dataclass(frozen=True, slots=True)
class Accuracy:
    """top1, top5: percent of `count` images. loss: mean cross-entropy in nats, no smoothing.
    With fewer than five classes top5 is 100."""

    top1: float
    top5: float
    loss: float
    count: int


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    images: ImageSet,
    *,
    mean: RGB,
    std: RGB,
    device: torch.device | str = "cpu",
    batch_size: int = 500,
    precision: str = "fp32",
) -> Accuracy:
    """Accuracy of `network`, in evaluation mode, on all `images`; its mode is then as before.

    mean, std: those that the network was trained with. Raises `InputError` for no images and
    `NonFiniteLossError` where logits are not finite.
    """
    if not len(images):
        raise InputError("there are no images to evaluate on")
    device = as_device(device)
    was_training = network.training
    network.to(device).to(memory_format=torch.channels_last).eval()
    mean_tensor, std_tensor = torch.tensor(mean, device=device), torch.tensor(std, device=device)
    dtype = resolve_precision(precision, device)
    top1 = torch.zeros((), dtype=torch.int64, device=device)
    top5, loss = torch.zeros_like(top1), torch.zeros((), dtype=torch.float64, device=device)
    try:
        with mixed_precision(network, dtype, device):
            for start in range(0, len(images), batch_size):
                labels = images.labels[start : start + batch_size].to(device)
                pixels = images.pixels[start : start + batch_size].to(device)
                batch = normalise(pixels, mean_tensor, std_tensor, dtype)
                logits = network(batch).float()
                loss += F.cross_entropy(logits, labels, reduction="sum")
                best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
                top1 += best[:, 0].sum()
                top5 += best.sum()
    finally:
        network.train(was_training)
    count, mean_loss = len(images), float(loss) / len(images)
    if not math.isfinite(mean_loss):
        raise NonFiniteLossError(f"the loss on {count} images is {mean_loss}")
    return Accuracy(100 * int(top1) / count, 100 * int(top5) / count, mean_loss, count)
