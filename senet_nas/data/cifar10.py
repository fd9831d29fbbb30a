"""CIFAR-10 as torchvision downloads it (Krizhevsky 2009)."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch

from search_space.errors import InputError
from senet_nas.data.image_set import ImageSet


def download_cifar10(split: str, folder: Path) -> ImageSet:
    """One split, downloaded to `folder` where it isn't there yet.

    Raises `InputError` where the download fails.
    """
    from torchvision.datasets import CIFAR10

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            found = CIFAR10(str(folder), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors
        raise InputError(
            f"data: cifar10 could not be downloaded ({error}); give a folder or an archive instead"
        ) from None
    images = torch.from_numpy(found.data).permute(0, 3, 1, 2)
    return ImageSet(images, torch.tensor(found.targets), tuple(found.classes))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Inside, no other process downloads to the folder: it would take a half file for a damaged
    one. Where it can't be written or locked nobody is waited for."""
    with ExitStack() as stack:
        with suppress(OSError):
            fcntl.flock(stack.enter_context((folder / ".lock").open("w")), fcntl.LOCK_EX)
        yield
