"""Rectangles drawn by chance in images: those that are cut out and resized (arXiv 1409.4842,
section 6), and those that are erased (arXiv 1708.04896).

Drawn as timm and torchvision draw them, for many images at once: the first of ten tries that fits.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Boxes = npt.NDArray[np.int64]

TRIES = 10
DRAWS = 2 * TRIES + 2  # uniform numbers that a rectangle takes
_ERASED_AREA = (0.02, 1 / 3)
_ERASED_ASPECT = (0.3, 1 / 0.3)


def crop_boxes(
    heights: Boxes,
    widths: Boxes,
    chance: Floats,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Boxes:
    """Parts of images of `heights` and `widths` (N,): int64 (N, 4), top, left, height, width.

    chance: uniform in 0 to 1, (N, DRAWS). scale: share of the area. ratio: width over height,
    uniform in its logarithm. Where no try fits, the largest centred part of an allowed ratio.
    """
    tall, wide = _sides(heights, widths, chance, scale, ratio)
    tall, wide, fits = _first((wide <= widths[:, None]) & (tall <= heights[:, None]), tall, wide)
    whole = widths / heights
    tall = np.where(
        fits, tall, np.where(whole < ratio[0], np.round(widths / ratio[0]), heights)
    ).astype(np.int64)
    wide = np.where(
        fits, wide, np.where(whole > ratio[1], np.round(heights * ratio[1]), widths)
    ).astype(np.int64)
    top = np.where(fits, chance[:, 0] * (heights - tall + 1), (heights - tall) // 2)
    left = np.where(fits, chance[:, 1] * (widths - wide + 1), (widths - wide) // 2)
    return np.stack([top.astype(np.int64), left.astype(np.int64), tall, wide], axis=1)


def erased_boxes(height: int, width: int, chance: Floats, probability: float) -> Boxes:
    """Parts of images of (height, width) pixels to erase: int64 (N, 4), all 0 where none is.

    chance: uniform in 0 to 1, (N, 1 + DRAWS). A part takes 2% to a third of the area, at a ratio
    of height to width from 0.3 to 1 / 0.3.
    """
    heights, widths = np.full(len(chance), height), np.full(len(chance), width)
    # timm draws height over width here, and width over height where it crops.
    wide, tall = _sides(heights, widths, chance[:, 1:], _ERASED_AREA, _ERASED_ASPECT)
    tall, wide, fits = _first((wide < width) & (tall < height), tall, wide)
    top = (chance[:, 1] * (height - tall + 1)).astype(np.int64)
    left = (chance[:, 2] * (width - wide + 1)).astype(np.int64)
    boxes = np.stack([top, left, tall, wide], axis=1)
    boxes[~fits | (chance[:, 0] >= probability)] = 0
    return boxes


def _sides(
    heights: Boxes,
    widths: Boxes,
    chance: Floats,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[Boxes, Boxes]:
    """Heights and widths of all tries, (N, TRIES)."""
    tries = chance[:, 2:DRAWS]
    area = (heights * widths)[:, None] * (scale[0] + (scale[1] - scale[0]) * tries[:, :TRIES])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = np.exp(low + (high - low) * tries[:, TRIES:])
    tall = np.maximum(1, np.round(np.sqrt(area / aspect)))
    wide = np.maximum(1, np.round(np.sqrt(area * aspect)))
    return tall.astype(np.int64), wide.astype(np.int64)


def _first(
    allowed: npt.NDArray[np.bool_], tall: Boxes, wide: Boxes
) -> tuple[Boxes, Boxes, npt.NDArray[np.bool_]]:
    """The first allowed try of each image, and whether there is one."""
    rows, first = np.arange(len(allowed)), allowed.argmax(axis=1)
    fits: npt.NDArray[np.bool_] = allowed[rows, first]
    return tall[rows, first], wide[rows, first], fits
