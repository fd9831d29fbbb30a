"""The accuracy of a checkpoint on images that a user names."""

from __future__ import annotations

import torch

from search_space.errors import InputError
from senet_nas.data import load_images
from senet_nas.data.load import Split
from senet_nas.training.checkpoint import Checkpoint
from senet_nas.training.evaluate import Accuracy, evaluate


def default_device() -> str:
    """`cuda` where there is a usable one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolve_device(device: str | None) -> str:
    """The device of this name, or the default. Raises `InputError` for one that isn't there."""
    if device is None:
        return default_device()
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device {device!r} is not known (allowed: cpu, cuda, cuda:N)")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r}: torch sees no CUDA device here")
    return device


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
        device=resolve_device(device),
    )
