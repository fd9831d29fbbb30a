"""From encoded images to those that a network sees, one after the other: what worker processes do.

All that chance decides comes from the images' own seeds, so it doesn't matter which worker has an
image, or when.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from senet_nas.data.augmentation import Augmentation
from senet_nas.data.centre import centred
from senet_nas.data.chance import Chance
from senet_nas.data.image_set import RGB
from senet_nas.data.jpeg import DAMAGE, Pixels, decode_image, reason_of, size_of
from senet_nas.data.order import Seeds
from senet_nas.data.policies import Policy, make_policy
from senet_nas.data.records import Content

_SHRINKS = (8, 4, 2, 1)
_PAD_MODES = {"reflect": "reflect", "zero": "constant"}
_RESIZE = {
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.out,  # `interpolate`, into given memory
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.out,
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """pixels: uint8 (K, S, S, 3) of those that could be read. kept: their positions among the
    images asked for, int64 (K,). reasons: of the others, by position."""

    pixels: Tensor
    kept: Tensor
    reasons: dict[int, str]


class View(Protocol):
    """What is made of images: each call gives the same for the same contents and seeds."""

    @property
    def image_size(self) -> int:
        """Side in pixels."""
        ...

    def __call__(self, contents: Sequence[Content], seeds: Seeds) -> Seen:
        """Images with their seeds, uint64 (N,)."""
        ...


@dataclass(frozen=True, eq=False)
class TestView:
    """The centre of each image, as `centred` says; seeds don't matter."""

    image_size: int
    crop_percent: float = 1.0
    interpolation: str = "bilinear"

    def __call__(self, contents: Sequence[Content], seeds: Seeds) -> Seen:
        """See `View`."""
        del seeds

        def one(number: int, out: Pixels) -> None:
            pixels = _decoded(contents[number], 1)
            out[:] = centred(pixels, self.image_size, self.crop_percent, self.interpolation)

        return _seen(contents, self.image_size, one)


@dataclass(frozen=True, eq=False)
class TrainingView:
    """Images augmented, but for what is done to normalised ones: cutout, erasing. mean: of each
    channel, 0 to 1, to fill what is empty with."""

    augmentation: Augmentation
    image_size: int
    mean: RGB

    def __call__(self, contents: Sequence[Content], seeds: Seeds) -> Seen:
        """See `View`."""
        chance = Chance.of(self.augmentation, seeds)
        make = self._resized if self.augmentation.crop == "resized" else self._padded
        return make(contents, seeds, chance)

    @cached_property
    def _policy(self) -> Policy | None:
        return make_policy(self.augmentation, self.image_size, self.mean)

    def _resized(self, contents: Sequence[Content], seeds: Seeds, chance: Chance) -> Seen:
        sizes = _sizes(contents)
        boxes, flips = chance.boxes(sizes[:, 0], sizes[:, 1]), chance.flips()
        which, names = chance.interpolations(), self.augmentation.interpolations

        def one(number: int, out: Pixels) -> None:
            resized_part(
                contents[number],
                sizes[number].tolist(),
                boxes[number].tolist(),
                bool(flips[number]),
                names[which[number]],
                out,
            )
            self._apply_policy(out, seeds[number])

        return _seen(contents, self.image_size, one)

    def _padded(self, contents: Sequence[Content], seeds: Seeds, chance: Chance) -> Seen:
        size, reach = self.image_size, self.augmentation.crop_padding
        mode = _PAD_MODES[self.augmentation.padding]
        shifts, flips = chance.shifts(), chance.flips()

        def one(number: int, out: Pixels) -> None:
            pixels = centred(_decoded(contents[number], 1), size)
            if reach:
                down, right = shifts[number].tolist()
                padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode)  # type: ignore[call-overload]
                pixels = padded[down : down + size, right : right + size]
            out[:] = pixels[:, ::-1] if flips[number] else pixels
            self._apply_policy(out, seeds[number])

        return _seen(contents, size, one)

    def _apply_policy(self, out: Pixels, seed: np.uint64) -> None:
        if self._policy is not None:
            out[:] = self._policy(out, int(seed))


def resized_part(
    content: Content,
    whole: Sequence[int],
    box: Sequence[int],
    flip: bool,
    interpolation: str,
    out: Pixels,
) -> None:
    """Write a part of an image, resized, into `out`, uint8 (S, S, 3).

    whole: the image's height and width in pixels. box: top, left, height, width of the part. Where
    it is twice the size asked for or more, a JPEG is decoded to a half, a quarter or an eighth.
    Raises one of `DAMAGE`.
    """
    size = len(out)
    pixels = _decoded(content, next(s for s in _SHRINKS if s == 1 or min(box[2:]) >= s * size))
    top, left, height, width = box
    if pixels.shape[0] != whole[0]:
        down, right = pixels.shape[0] / whole[0], pixels.shape[1] / whole[1]
        top, height = round(top * down), max(1, round(height * down))
        left, width = round(left * right), max(1, round(width * right))
    part = torch.from_numpy(pixels)[top : top + height, left : left + width]
    part = part.flip(1) if flip else part.contiguous()
    into = torch.from_numpy(out).permute(2, 0, 1)[None]
    _RESIZE[interpolation](part.permute(2, 0, 1)[None], [size, size], False, out=into)


def _decoded(content: Content, shrink: int) -> Pixels:
    if isinstance(content, np.ndarray):
        return content
    assert isinstance(content, bytes)
    return decode_image(content, shrink)


def _sizes(contents: Sequence[Content]) -> npt.NDArray[np.int64]:
    """Heights and widths int64 (N, 2); 1 where they can't be told."""
    sizes = np.ones((len(contents), 2), np.int64)
    for number, content in enumerate(contents):
        if isinstance(content, np.ndarray):
            sizes[number] = content.shape[:2]
        elif isinstance(content, bytes):
            with contextlib.suppress(*DAMAGE):
                sizes[number] = size_of(content)
    return sizes


def _seen(contents: Sequence[Content], size: int, write: Callable[[int, Pixels], None]) -> Seen:
    """The images that `write` writes; those that it can't are left out."""
    pixels = torch.empty((len(contents), size, size, 3), dtype=torch.uint8)
    kept, reasons, out = [], {}, pixels.numpy()
    for number, content in enumerate(contents):
        if isinstance(content, str):
            reasons[number] = content
            continue
        try:
            write(number, out[number])
            kept.append(number)
        except DAMAGE as error:
            reasons[number] = reason_of(error)
    where = torch.tensor(kept, dtype=torch.int64)
    return Seen(pixels[where] if reasons else pixels, where, reasons)
