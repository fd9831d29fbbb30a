"""The labelled images of a split by number, whatever they are kept in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from search_space.errors import InputError
from senet_nas.data.layout import SPLITS

Labels = npt.NDArray[np.int64]
Content = bytes | str | npt.NDArray[np.uint8]


class Records(Protocol):
    """Images and their labels. A content is the bytes of a JPEG or PNG, pixels uint8 (H, W, 3), or
    in words why there are none. Records can be handed to other processes."""

    @property
    def where(self) -> str:
        """What the user named, for messages."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of labels: those of all splits."""
        ...

    @property
    def labels(self) -> Labels:
        """int64 (N,)."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether `read` takes about as long as the image is large, whichever it is."""
        ...

    def name(self, number: int) -> str:
        """What the image is called, for messages."""
        ...

    def read(self, number: int) -> Content:
        """The content of one image."""
        ...

    def read_all(self) -> Iterator[tuple[int, Content]]:
        """Each image's number and content, in any order."""
        ...


class Opened(Protocol):
    """A set of images that was found at a path, by one of `senet_nas.data.containers`."""

    @property
    def where(self) -> str:
        """What the user named."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """Which of `train` and `test` it holds."""
        ...

    def fingerprint(self) -> str:
        """Text that changes when the content does."""
        ...

    def records(self, split: str) -> Records:
        """One split of those that it holds."""
        ...


def records_of(opened: Opened, split: str) -> Records:
    """One split. Raises `InputError` where there is none."""
    if split not in opened.splits:
        held = " and ".join(name for name in SPLITS if name in opened.splits)
        raise InputError(f"{opened.where}: holds no {split} images, only {held} ones")
    return opened.records(split)
