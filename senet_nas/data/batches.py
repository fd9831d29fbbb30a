"""Batches of a split on a device, for one of several ranks: what training and evaluation read.

Two implementations stand behind it: small sets lie in memory as one tensor and are augmented in
batches on the device (`memory.py`); large ones are decoded and augmented image by image in worker
processes (`streaming.py`). Which images a step has, and what is drawn for them, is a function of
(seed, epoch, step) alone: not of the number of workers or of where training was resumed; and the
images of a step over all ranks together are those that one rank alone would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from senet_nas.data.image_set import RGB


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """images: (B, 3, H, W), normalised, in the dtype asked for, in channels-last memory, on the
    device. labels: int64 (B,), on the device.

    weight: B times the number of ranks over the images of this step on all ranks: the mean over
    ranks of `weight` times each rank's mean loss is the mean over all images of the step, also
    where shares differ by one. With one rank it is 1. A damaged image counts as if it were there.
    """

    images: Tensor
    labels: Tensor
    weight: float = 1.0

    def __len__(self) -> int:
        return len(self.labels)


class TestBatches(Protocol):
    """The images of a split to evaluate on, each exactly once over all ranks, in the same order
    each time; ranks' numbers of batches may differ."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of labels."""
        ...

    @property
    def image_size(self) -> int:
        """Side in pixels."""
        ...

    @property
    def count(self) -> int:
        """Images over all ranks, with those that turn out to be damaged."""
        ...

    @property
    def skipped(self) -> tuple[str, ...]:
        """The damaged images met so far by this rank, each with the reason in brackets."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """The share of one rank. Raises `InputError` where too many images are damaged."""
        ...


class Batches(Protocol):
    """The training images as batches: the share of one rank."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of labels."""
        ...

    @property
    def image_size(self) -> int:
        """Side in pixels."""
        ...

    @property
    def mean(self) -> RGB:
        """What images are normalised with, of each channel, 0 to 1."""
        ...

    @property
    def std(self) -> RGB:
        """What images are normalised with, of each channel, 0 to 1."""
        ...

    @property
    def count(self) -> int:
        """Images of an epoch over all ranks, with those that turn out to be damaged."""
        ...

    @property
    def skipped(self) -> tuple[str, ...]:
        """The damaged images met so far by this rank, each with the reason in brackets."""
        ...

    def steps(self) -> int:
        """Steps of an epoch, the same on every rank."""
        ...

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (counted from 0) from step `start` (counted from 0) on: exactly
        those that an uninterrupted epoch has there. Every image once over all ranks.

        Raises `InputError` where too many images turn out to be damaged.
        """
        ...
