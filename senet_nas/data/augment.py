"""Augmentation of whole batches on the training device: crop, flip, cutout, as one gather.

Crop and flip as in the CIFAR experiments of arXiv 1512.03385 (section 4.2); cutout is
arXiv 1708.04552. What is drawn by chance is a value of its own, drawn on the CPU, so that a seed
gives the same images on every device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from search_space.errors import InputError
from senet_nas.data.augmentation import Augmentation


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What chance decided for N images: shifts int64 (N, 2) in pixels (down, right), flips bool
    (N,), and the centres of the blanked squares int64 (N, 2) (row, column)."""

    shifts: Tensor
    flips: Tensor
    centres: Tensor

    def __getitem__(self, part: slice) -> Draws:
        return Draws(self.shifts[part], self.flips[part], self.centres[part])

    def to(self, device: torch.device) -> Draws:
        """The same draws on `device`."""
        return Draws(self.shifts.to(device), self.flips.to(device), self.centres.to(device))


def draw(
    augmentation: Augmentation, count: int, height: int, width: int, generator: torch.Generator
) -> Draws:
    """Draw for `count` images of (height, width) pixels, from a generator on the CPU.

    Raises `InputError` for a padding that is not smaller than the image.
    """
    reach = augmentation.crop_padding if augmentation.crop == "padded" else 0
    if reach >= min(height, width):
        raise InputError(f"crop_padding {reach} must be below the image's {min(height, width)}")
    shifts = torch.randint(-reach, reach + 1, (count, 2), generator=generator)
    flips = torch.rand(count, generator=generator) < (0.5 if augmentation.flip else 0.0)
    rows = torch.randint(height, (count,), generator=generator)
    columns = torch.randint(width, (count,), generator=generator)
    return Draws(shifts, flips, torch.stack([rows, columns], 1))


def augment(
    pixels: Tensor,
    indices: Tensor,
    draws: Draws,
    augmentation: Augmentation,
    mean: Tensor,
    std: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Augmented and normalised images (B, 3, H, W) in channels-last memory.

    pixels: uint8 (N, H, W, 3), contiguous. indices: int64 (B,). draws: for B images. mean, std:
    float32 (3,), 0 to 1. All tensors stand on one device; nothing waits for it.
    """
    count, (height, width) = len(indices), pixels.shape[1:3]
    rows = torch.arange(height, device=pixels.device) + draws.shifts[:, :1]
    columns = torch.arange(width, device=pixels.device).expand(count, width)
    columns = torch.where(draws.flips[:, None], columns.flip(1), columns) + draws.shifts[:, 1:]
    # Where in the flat list of all pixels each pixel of the batch stands: (B, H, W).
    base = (indices * (height * width))[:, None] + _mirrored(rows, height) * width
    where = base[:, :, None] + _mirrored(columns, width)[:, None, :]
    gathered = pixels.view(-1, 3).index_select(0, where.view(-1)).view(count, height, width, 3)
    if augmentation.padding == "zero" and augmentation.crop_padding:
        inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None, :]
        gathered *= inside[..., None]
    images = normalise(gathered, mean, std, dtype)
    if augmentation.cutout:
        blank_squares(images, draws.centres, augmentation.cutout)
    return images


def blank_squares(images: Tensor, centres: Tensor, side: int) -> None:
    """Set squares of `side` pixels of normalised images (B, 3, H, W) to the mean colour, 0, in
    place. centres: int64 (B, 2), row and column."""
    images *= ~_square(centres, side, *images.shape[2:])[:, None]


def normalise(
    pixels: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(pixels / 255 - mean) / std as (B, 3, H, W) in channels-last memory.

    pixels: uint8 (B, H, W, 3). mean, std: float32 (3,), 0 to 1.
    """
    count, height, width, _ = pixels.shape
    # Whole rows of pixels at once: three channels alone are too few to vectorise over.
    shift, scale = (255 * mean).repeat(width), (1 / (255 * std)).repeat(width)
    rows = pixels.reshape(count, height, width * 3).float().sub_(shift).mul_(scale)
    return rows.to(dtype).view(count, height, width, 3).permute(0, 3, 1, 2)


def _mirrored(position: Tensor, length: int) -> Tensor:
    """Positions outside 0 to length - 1 reflected back, the edge pixel not repeated."""
    return (length - 1) - ((length - 1) - position.abs()).abs()


def _inside(position: Tensor, length: int) -> Tensor:
    return (position >= 0) & (position < length)


def _square(centres: Tensor, side: int, height: int, width: int) -> Tensor:
    """Masks bool (B, H, W) of squares of `side` pixels, cut off at the image's edge."""

    def span(centre: Tensor, length: int) -> Tensor:
        offset = torch.arange(length, device=centre.device) - (centre - side // 2)[:, None]
        return _inside(offset, side)

    return span(centres[:, 0], height)[:, :, None] & span(centres[:, 1], width)[:, None, :]
