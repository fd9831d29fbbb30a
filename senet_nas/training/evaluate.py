"""How well a network classifies images: exact counts over all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from search_space.errors import InputError
from senet_nas.data import RGB, ImageSet
from senet_nas.data.batches import Batch
from senet_nas.data.memory import MemoryTestBatches
from senet_nas.nn.freed_memory import keep_freed_memory
from senet_nas.training.device import as_device
from senet_nas.training.group import ALONE, Group
from senet_nas.training.precision import mixed_precision, resolve_precision
from senet_nas.training.state import NonFiniteLossError


@dataclass(frozen=True, slots=True)
class Accuracy:
    """top1, top5: percent of `count` images. loss: mean cross-entropy in nats, no smoothing.
    With fewer than five classes top5 is 100."""

    top1: float
    top5: float
    loss: float
    count: int


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
    """`evaluate_on` images in memory.

    mean, std: those that the network was trained with.
    """
    device = as_device(device)
    dtype = resolve_precision(precision, device)
    batches = MemoryTestBatches(images, batch_size, mean, std, device, dtype)
    return evaluate_on(network, batches, device=device, precision=precision)


@torch.inference_mode()
def evaluate_on(
    network: nn.Module,
    batches: Iterable[Batch],
    *,
    device: torch.device | str = "cpu",
    precision: str = "fp32",
    group: Group = ALONE,
) -> Accuracy:
    """Accuracy of `network`, in evaluation mode, on all images; its modules' modes are then as
    before.

    batches: this process's share, in the dtype of the precision on this device; sums are over the
    whole group, so that each image counts once however many there are. Raises `InputError` for no
    images and `NonFiniteLossError` where logits are not finite.
    """
    device = as_device(device)
    if device.type == "cpu":
        keep_freed_memory()
    modes = [(module, module.training) for module in network.modules()]  # norms may be frozen
    network.to(device).to(memory_format=torch.channels_last).eval()
    dtype = resolve_precision(precision, device)
    right = torch.zeros(3, dtype=torch.int64, device=device)  # first, among five, of so many
    loss = torch.zeros((), dtype=torch.float64, device=device)
    try:
        with mixed_precision(network, dtype, device):
            for batch in batches:
                logits = network(batch.images).float()
                loss += F.cross_entropy(logits, batch.labels, reduction="sum")
                best = logits.topk(min(5, logits.shape[1])).indices == batch.labels[:, None]
                right[0] += best[:, 0].sum()
                right[1] += best.sum()
                right[2] += len(batch)
    finally:
        for module, was_training in modes:
            module.training = was_training
    top1, top5, count = group.total(right).tolist()
    if not count:
        raise InputError("there are no images to evaluate on")
    mean_loss = float(group.total(loss)) / count
    if not math.isfinite(mean_loss):
        raise NonFiniteLossError(f"the loss on {count} images is {mean_loss}")
    return Accuracy(100 * top1 / count, 100 * top5 / count, mean_loss, count)
