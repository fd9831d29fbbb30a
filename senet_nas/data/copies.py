"""Copies of a set in one Arrow file in the cache: of what can't be read in any order (compressed
archives, Parquet), unchanged; and, where a user asks for them, of smaller images.

A file says in its schema's metadata what it is, and a warning says so when it is used: crops cut
from smaller copies aren't those of the originals.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from search_space.errors import InputError
from senet_nas.data.containers.arrow import ArrowRecords, mapped
from senet_nas.data.files import alone, write_atomically
from senet_nas.data.jpeg import DAMAGE, decode_image, size_of
from senet_nas.data.records import Content, Labels, Records

_log = logging.getLogger(__name__)
_FORMAT = "1"  # raise it when the same source would give other copies
_QUALITY = 95
_ASPECT, _BYTES_A_PIXEL = 4 / 3, 0.6  # of 200 of ImageNet's, at 128 to 320 pixels: 0.70 to 0.53
_NUMBER, _IMAGE = "number", "image"
_ROWS = 256  # written at a time


@dataclass(frozen=True, eq=False)
class CopiedRecords:
    """`Records` whose images are read from a copy. rows: where in it each stands; -1: nowhere."""

    original: Records
    copy: ArrowRecords
    rows: npt.NDArray[np.int64]
    is_random = True

    @property
    def where(self) -> str:
        """See `Records`."""
        return self.original.where

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Records`."""
        return self.original.classes

    @property
    def labels(self) -> Labels:
        """See `Records`."""
        return self.original.labels

    def name(self, number: int) -> str:
        """See `Records`."""
        return self.original.name(number)

    def read(self, number: int) -> Content:
        """See `Records`."""
        row = int(self.rows[number])
        return "missing" if row < 0 else self.copy.read(row)

    def read_all(self) -> Iterator[tuple[int, Content]]:
        """See `Records`."""
        return ((number, self.read(number)) for number in range(len(self.rows)))


def copies_bytes(count: int, shorter: int) -> int:
    """About what smaller copies of so many photographs take on disk."""
    return int(count * shorter**2 * _ASPECT * _BYTES_A_PIXEL)


def copied(
    records: Records, fingerprint: str, split: str, cache: Path, shorter: int | None = None
) -> CopiedRecords:
    """A split whose images are read from a copy in `cache`, which is made where there is none yet;
    another process that makes it is waited for.

    fingerprint: of the set. shorter: the shorter side in pixels of the copies, for images that are
    larger; None for the images' own bytes. Raises `InputError` where there is no room.
    """
    key = hashlib.sha256(f"{_FORMAT}\0{fingerprint}\0{split}\0{shorter}".encode()).hexdigest()
    path = cache / f"{key[:32]}.copies.arrow"
    about = _described(shorter)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with alone(path.with_suffix(".lock")):
            if not path.exists():
                _log.warning(
                    "%d images of %s are copied once to %s (%s)",
                    len(records.labels),
                    records.where,
                    path,
                    about,
                )
                write_atomically(path, lambda file: _write(file, records, shorter, about))
    except OSError as error:
        raise InputError(
            f"{records.where}: images can't be copied to {path}: {error.strerror}"
        ) from None
    if shorter is not None:
        _log.warning("images are read from %s: %s", path, about)
    images = ArrowRecords(records.where, (path,), _IMAGE, records.labels, records.classes)
    numbers = mapped((path,))[_NUMBER].to_numpy()
    rows = np.full(len(records.labels), -1, np.int64)
    rows[numbers] = np.arange(len(numbers))
    return CopiedRecords(records, images, rows)


def smaller(content: bytes, shorter: int) -> bytes:
    """An image with its shorter side brought to so many pixels, as a JPEG; one that isn't larger,
    or is damaged, as it is."""
    try:
        side = min(size_of(content))
        if side <= shorter:
            return content
        pixels = decode_image(content, next(s for s in (8, 4, 2, 1) if s * shorter <= side))
    except DAMAGE:
        return content
    height, width = pixels.shape[:2]
    scale = shorter / min(height, width)
    size = max(shorter, round(width * scale)), max(shorter, round(height * scale))
    out = io.BytesIO()
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def _write(file: Path, records: Records, shorter: int | None, about: str) -> None:
    """Rows in the order in which the records are fastest read, each with its number."""
    import pyarrow as pa

    fields = [(_NUMBER, pa.int64()), (_IMAGE, pa.large_binary())]
    schema = pa.schema(fields, {"senet_nas": json.dumps(about)})
    with (
        pa.OSFile(str(file), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as writer,
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        remaining = records.read_all()
        while rows := list(islice(remaining, _ROWS)):
            numbers = pa.array([number for number, _ in rows], pa.int64())
            made = list(pool.map(lambda row: _copy(row[1], shorter), rows))
            images = pa.array(made, pa.large_binary())
            writer.write_batch(pa.record_batch([numbers, images], schema=schema))


def _copy(content: Content, shorter: int | None) -> bytes | None:
    if not isinstance(content, bytes):
        return None
    return content if shorter is None else smaller(content, shorter)


def _described(shorter: int | None) -> str:
    if shorter is None:
        return "the images' own bytes"
    return (
        f"copies with a shorter side of {shorter} pixels at most, JPEG of quality {_QUALITY}, not "
        "the original images"
    )
