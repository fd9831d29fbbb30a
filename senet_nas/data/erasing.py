"""Rectangles of normalised images erased, on the device that the images are on."""

from __future__ import annotations

import torch
from torch import Tensor

from senet_nas.data.crops import Boxes
from senet_nas.data.order import Seeds

_CHANNELS = 3


def erase(images: Tensor, boxes: Boxes, seeds: Seeds, mode: str) -> None:
    """Fill rectangles of images (B, 3, H, W), in place, each from a seed of its own.

    boxes: int64 (B, 4), top, left, height, width; 0 high for none. mode: of `Augmentation`: normal
    noise a pixel, one normal colour, or 0, the mean colour.
    """
    generator = torch.Generator(images.device)
    for number in boxes[:, 2].nonzero()[0].tolist():
        top, left, tall, wide = boxes[number].tolist()
        part = images[number, :, top : top + tall, left : left + wide]
        if mode == "const":
            part.zero_()
            continue
        generator.manual_seed(int(seeds[number] >> 1))
        shape = (_CHANNELS, tall, wide) if mode == "pixel" else (_CHANNELS, 1, 1)
        part.copy_(torch.randn(shape, generator=generator, device=images.device))
