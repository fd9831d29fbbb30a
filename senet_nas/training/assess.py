"""The accuracy of a checkpoint on images that a user names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from search_space.errors import InputError
from senet_nas.data import Batch, Reading, TestBatches, test_batches
from senet_nas.data.load import Split
from senet_nas.training.checkpoint import Checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import Accuracy, evaluate_on
from senet_nas.training.images import test_batch_size


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    data: str | None,
    split: Split,
    device: torch.device | str | None = None,
    reading: Reading | None = None,
) -> Accuracy:
    """Accuracy on one split of `data`. Raises as `checkpoint_batches` does."""
    device = as_device(device)
    batches = checkpoint_batches(checkpoint, data, split, device, reading)
    return evaluate_on(checkpoint.network(), batches, device=device)


def checkpoint_batches(
    checkpoint: Checkpoint,
    data: str | None,
    split: Split,
    device: torch.device,
    reading: Reading | None = None,
) -> Relabelled:
    """The images of one split of `data` as a checkpoint's network takes them, and with its labels:
    their classes may be some of those that it was taught, and it still chooses among all. Images
    are cut as the recipe that trained it says. Raises `InputError` where the classes are others,
    and what `test_batches` raises."""
    size = checkpoint.image_size
    batches = test_batches(
        data,
        split,
        image_size=size,
        crop_percent=checkpoint.test_crop,
        interpolation=checkpoint.test_interpolation,
        batch_size=test_batch_size(size),
        device=device,
        mean=checkpoint.mean,
        std=checkpoint.std,
        reading=reading or Reading(),
    )
    unknown = [name for name in batches.classes if name not in set(checkpoint.classes)]
    if unknown:
        raise InputError(
            f"{data or 'the sample'} has {len(batches.classes)} classes, the checkpoint "
            f"{len(checkpoint.classes)}; not among them: {', '.join(unknown[:5])}"
        )
    taught = {name: number for number, name in enumerate(checkpoint.classes)}
    numbers = torch.tensor([taught[name] for name in batches.classes], device=device)
    return Relabelled(batches, numbers)


@dataclass(frozen=True, slots=True, eq=False)
class Relabelled:
    """Batches whose labels are replaced: label k by numbers[k]."""

    batches: TestBatches
    numbers: Tensor

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            yield replace(batch, labels=self.numbers[batch.labels])
