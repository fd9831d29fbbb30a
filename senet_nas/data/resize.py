"""Smaller versions of images that are already in memory."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from search_space import checks
from senet_nas.data.image_set import ImageSet

IMAGES_AT_A_TIME = 1024


def resized(images: ImageSet, image_size: int) -> ImageSet:
    """The set with square images of this side, by antialiased bilinear interpolation."""
    checks.integer("image_size", image_size, least=1)
    if images.images.shape[2:] == (image_size, image_size):
        return images
    parts = [
        F.interpolate(
            part.float(), (image_size, image_size), mode="bilinear", antialias=True
        ).round()
        for part in torch.split(images.images, IMAGES_AT_A_TIME)
    ]
    return replace(images, images=torch.cat(parts).clamp(0, 255).to(torch.uint8))
