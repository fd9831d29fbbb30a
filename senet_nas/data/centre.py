"""How an image is seen that isn't trained on: resized by its shorter side, its centre cut out, to
the pixel as torchvision and timm do it with Pillow."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from senet_nas.data.jpeg import Pixels

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def centred(
    pixels: Pixels, image_size: int, crop_percent: float = 1.0, interpolation: str = "bilinear"
) -> Pixels:
    """The centre of an image as uint8 (image_size, image_size, 3).

    Its shorter side is brought to `image_size` / `crop_percent` pixels (rounded down) first,
    antialiased.
    """
    shorter = math.floor(image_size / crop_percent)
    height, width = pixels.shape[:2]
    if min(height, width) != shorter:
        long = int(shorter * max(height, width) / min(height, width))
        height, width = (shorter, long) if height <= width else (long, shorter)
        image = Image.fromarray(pixels).resize((width, height), _RESAMPLING[interpolation])
        pixels = np.asarray(image)
    top, left = round((height - image_size) / 2), round((width - image_size) / 2)
    return pixels[top : top + image_size, left : left + image_size]
