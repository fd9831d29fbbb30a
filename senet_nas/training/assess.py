"""The accuracy of a checkpoint on images that a user names."""

from __future__ import annotations

from dataclasses import replace

import torch

from search_space.errors import InputError
from senet_nas.data import load_images
from senet_nas.data.load import Split
from senet_nas.training.checkpoint import Checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import Accuracy, evaluate


def evaluate_checkpoint(
    checkpoint: Checkpoint, data: str | None, split: Split, device: str | None = None
) -> Accuracy:
    """Accuracy on one split of `data`, whose classes may be some of those that the network was
    taught; it still chooses among all. Raises `InputError` where they are others."""
    images = load_images(data, split, checkpoint.image_size)
    unknown = [name for name in images.classes if name not in set(checkpoint.classes)]
    if unknown:
        raise InputError(
            f"{data or 'the sample'} has {len(images.classes)} classes, the checkpoint "
            f"{len(checkpoint.classes)}; not among them: {', '.join(unknown[:5])}"
        )
    taught = {name: number for number, name in enumerate(checkpoint.classes)}
    numbers = torch.tensor([taught[name] for name in images.classes])
    return evaluate(
        checkpoint.network(),
        replace(images, labels=numbers[images.labels], classes=checkpoint.classes),
        mean=checkpoint.mean,
        std=checkpoint.std,
        device=as_device(device),
    )
