"""Encoded images to pixels: by libjpeg-turbo through `simplejpeg` where that is installed and takes
the file, else by Pillow. Both give the same pixels, but where a smaller version will do.

A JPEG can be decoded to a half, a quarter or an eighth of its size from fewer coefficients, which
takes less time than all of it.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]

# What Pillow raises for files that are cut off, altered, or no images at all.
DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 2**26)  # beyond it, Pillow takes it for an attack
_START = b"\xff\xd8\xff"
_PLAIN = ("YCbCr", "Gray")


def size_of(content: bytes) -> tuple[int, int]:
    """Height and width in pixels, told from the header. Raises one of `DAMAGE`."""
    if (turbo := _turbo()) is not None and content.startswith(_START):
        try:
            height, width, _, _ = turbo.decode_jpeg_header(content)
            return int(height), int(width)
        except ValueError:
            pass
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as file:
        return file.height, file.width


def decode_image(content: bytes, shrink: int = 1) -> Pixels:
    """A JPEG or PNG as RGB uint8 (H, W, 3).

    shrink: 1, 2, 4 or 8: a JPEG may be decoded to its sides over `shrink`, rounded up. Raises one
    of `DAMAGE`.
    """
    if (turbo := _turbo()) is not None and content.startswith(_START):
        try:
            height, width, colours, _ = turbo.decode_jpeg_header(content)
            if colours in _PLAIN and height * width <= _MOST_PIXELS:
                return _turbo_decoded(turbo, content, -(-height // shrink), -(-width // shrink))
        except ValueError:
            pass  # Pillow takes some of what this refuses, and says what is wrong with the rest
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as file:
        if shrink > 1:
            file.draft("RGB", (max(1, file.width // shrink), max(1, file.height // shrink)))
        return np.array(file.convert("RGB"))


def reason_of(error: Exception) -> str:
    """What is wrong with a file, in a word or two."""
    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG or PNG"
    return "truncated" if "truncated" in str(error).lower() else "damaged"


def _turbo_decoded(turbo: Any, content: bytes, height: int, width: int) -> Pixels:
    pixels: Pixels = turbo.decode_jpeg(content, min_height=height, min_width=width)
    return pixels


@cache
def _turbo() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    module: ModuleType = simplejpeg
    return module
