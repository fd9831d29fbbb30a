"""The accuracy of a checkpoint on images that a user names."""

from __future__ import annotations

from search_space.errors import InputError
from senet_nas.data import load_images
from senet_nas.data.load import Split
from senet_nas.training.checkpoint import Checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import Accuracy, evaluate


def evaluate_checkpoint(
    checkpoint: Checkpoint, data: str | None, split: Split, device: str | None = None
) -> Accuracy:
    """Accuracy on one split of `data`. Raises `InputError` where its classes are others than
    those that the network was taught."""
    images = load_images(data, split, checkpoint.image_size)
    if images.classes != checkpoint.classes:
        extra = sorted(set(images.classes) ^ set(checkpoint.classes)) or ["their order"]
        raise InputError(
            f"{data or 'the sample'} has {len(images.classes)} classes, the checkpoint "
            f"{len(checkpoint.classes)}; they differ in {', '.join(extra[:5])}"
        )
    return evaluate(
        checkpoint.network(),
        images,
        mean=checkpoint.mean,
        std=checkpoint.std,
        device=as_device(device),
    )
