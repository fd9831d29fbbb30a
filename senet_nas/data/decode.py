"""From image files to one tensor: decoded, brought to one size, damage counted."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from search_space.errors import InputError
from senet_nas.data.centre import centred
from senet_nas.data.jpeg import DAMAGE, Pixels, decode_image, reason_of
from senet_nas.data.records import Content
from senet_nas.data.room import memory_bytes

_log = logging.getLogger(__name__)
_CHUNK = 256
_SMALL_BYTES = 16_384  # below it, handing an image to a thread takes longer than decoding it


def decode(
    content: bytes,
    image_size: int | None = None,
    crop_percent: float = 1.0,
    interpolation: str = "bilinear",
) -> Pixels:
    """One image as RGB uint8 (H, W, 3), seen as `centred` says where there is an `image_size`.

    Raises one of `DAMAGE` for a damaged file.
    """
    pixels = decode_image(content)
    if image_size is None:
        return pixels
    return centred(pixels, image_size, crop_percent, interpolation)


def decode_all(
    source: str,
    contents: Iterable[tuple[int, Content]],
    names: Sequence[str],
    size: int | None,
    crop_percent: float = 1.0,
    interpolation: str = "bilinear",
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Decode images into one tensor, in the order of `names`.

    contents: pairs of an index into `names`, and the file's bytes or why there are none.
    Returns pixels uint8 (N, H, W, 3), the indices int64 (N,) that could be read, and the names
    and reasons of the others. Raises `InputError` where too many can't be read, where sizes
    differ and `size` is None, and where the images need more than half of the memory.
    """
    pixels: Pixels | None = None
    read = np.zeros(len(names), dtype=bool)
    reasons = dict.fromkeys(range(len(names)), "missing")
    for index, image in _decoded(contents, size, crop_percent, interpolation):
        if isinstance(image, str):
            reasons[index] = image
            continue
        if pixels is None:
            _check_memory(source, len(names), image.shape)
            pixels = np.empty((len(names), *image.shape), dtype=np.uint8)
        if image.shape != pixels.shape[1:]:
            raise InputError(
                f"{source}: {names[index]} is {_size(image.shape)} pixels, others are "
                f"{_size(pixels.shape[1:])}: give an image size"
            )
        pixels[index] = image
        read[index] = True
    skipped = tuple(
        f"{names[index]} ({reasons[index]})" for index in np.flatnonzero(~read).tolist()
    )
    check_damage(source, skipped, len(names))
    if pixels is None:
        raise InputError(f"{source}: no image could be read: {', '.join(skipped[:20])}")
    kept = torch.from_numpy(pixels[read] if skipped else pixels)
    return kept, torch.from_numpy(np.flatnonzero(read)), skipped


def check_damage(source: str, skipped: Sequence[str], count: int) -> None:
    """Raise `InputError` where more than 10 images and more than 1% could not be read."""
    if len(skipped) > max(10, count // 100):
        more = f" and {len(skipped) - 20} more" if len(skipped) > 20 else ""
        raise InputError(
            f"{source}: {len(skipped)} of {count} images could not be read, too many to go on: "
            f"{', '.join(skipped[:20])}{more}"
        )


def warn_of_damage(skipped: tuple[str, ...], count: int) -> None:
    """One warning that names what was skipped; none where nothing was."""
    if skipped:
        more = f" and {len(skipped) - 10} more" if len(skipped) > 10 else ""
        listed = ", ".join(skipped[:10]) + more
        _log.warning("%d of %d images could not be read: %s", len(skipped), count, listed)


def _decoded(
    contents: Iterable[tuple[int, Content]],
    size: int | None,
    crop_percent: float,
    interpolation: str,
) -> Iterator[tuple[int, Pixels | str]]:
    def one(entry: tuple[int, Content]) -> tuple[int, Pixels | str]:
        index, content = entry
        if not isinstance(content, bytes):
            return index, content
        try:
            return index, decode(content, size, crop_percent, interpolation)
        except DAMAGE as error:
            return index, reason_of(error)

    remaining = iter(contents)
    # Decoding is outside the interpreter's lock; chunks bound what waits in memory.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(islice(remaining, _CHUNK)):
            are_large = sum(len(content) for _, content in chunk) > _SMALL_BYTES * len(chunk)
            yield from (pool.map if are_large else map)(one, chunk)


def _check_memory(source: str, count: int, shape: tuple[int, ...]) -> None:
    needed, memory = count * int(np.prod(shape)), memory_bytes()
    if needed > memory // 2:
        raise InputError(
            f"{source}: {count} images of {_size(shape)} pixels need {needed / 2**30:.1f} GiB in "
            f"memory, more than half of the {memory / 2**30:.1f} GiB there are: give a smaller "
            "image size (`retrain` and `evaluate` stream images, whatever their number)"
        )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
