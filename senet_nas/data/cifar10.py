"""CIFAR-10 as torchvision downloads it (Krizhevsky 2009)."""

from __future__ import annotations

from pathlib import Path

import torch

from search_space.errors import InputError
from senet_nas.data.files import alone
from senet_nas.data.image_set import ImageSet


def download_cifar10(split: str, folder: Path) -> ImageSet:
    """One split, downloaded to `folder` where it isn't there yet.

    Raises `InputError` where the download fails.
    """
    from torchvision.datasets import CIFAR10

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / ".lock"):  # a half file would be taken for a damaged one
            found = CIFAR10(str(folder), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors
        raise InputError(
            f"data: cifar10 could not be downloaded ({error}); give a folder or an archive instead"
        ) from None
    images = torch.from_numpy(found.data).permute(0, 3, 1, 2)
    return ImageSet(images, torch.tensor(found.targets), tuple(found.classes))
