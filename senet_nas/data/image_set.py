"""A set of labelled images of one size, held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from search_space.errors import InputError

RGB = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images, their labels and the names of the classes.

    images: uint8 (N, 3, H, W), RGB, 0 to 255, in channels-last memory. labels: int64 (N,), each
    an index into `classes`. skipped: the files that could not be read, each with the reason.
    Raises `InputError` where shapes or types differ from that.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"images must be uint8 (N, 3, H, W), not {_described(images)}")
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise InputError(f"labels must be int64 ({len(images)},), not {_described(labels)}")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.classes):
            raise InputError(f"labels must lie in 0 to {len(self.classes) - 1}")
        channels_last = images.contiguous(memory_format=torch.channels_last)
        object.__setattr__(self, "images", channels_last)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pixels(self) -> Tensor:
        """The same memory as uint8 (N, H, W, 3), contiguous."""
        return self.images.permute(0, 2, 3, 1)

    @property
    def image_size(self) -> int:
        """The longer side, in pixels."""
        return max(self.images.shape[2:])

    def mean(self) -> RGB:
        """The mean of each channel over all pixels, on a scale of 0 to 1."""
        return self._moments()[0]

    def std(self) -> RGB:
        """The standard deviation of each channel over all pixels, on a scale of 0 to 1.

        A channel without any variation gives 1, so that dividing by it is always possible.
        """
        return self._moments()[1]

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set with its tensors on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, indices: Tensor | Sequence[int]) -> ImageSet:
        """The images at `indices`, in that order; the classes stay as they are."""
        chosen = torch.as_tensor(indices, dtype=torch.int64, device=self.labels.device)
        images = self.pixels[chosen].permute(0, 3, 1, 2)
        return replace(self, images=images, labels=self.labels[chosen])

    def _moments(self) -> tuple[RGB, RGB]:
        if not len(self):
            raise InputError("no images: they have no mean")
        # Exact, from how often each of the 256 values occurs.
        values = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for channel in range(3):
            count = torch.zeros(256, dtype=torch.int64)
            for part in torch.split(self.images[:, channel], 4096):
                count += torch.bincount(part.flatten(), minlength=256).cpu()
            share = count.double() / count.sum()
            mean = (share * values).sum()
            means.append(float(mean))
            stds.append(float((share * (values - mean).square()).sum().sqrt()) or 1.0)
        return (means[0], means[1], means[2]), (stds[0], stds[1], stds[2])


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
