"""The mean and deviation of a set that is streamed, from some of its images."""

from __future__ import annotations

import numpy as np
import torch

from search_space.errors import InputError
from senet_nas.data.image_set import RGB, ImageSet
from senet_nas.data.records import Records
from senet_nas.data.views import TestView

_IMAGES = 512  # enough for a mean to within 0.01


def sampled_moments(records: Records, image_size: int) -> tuple[RGB, RGB]:
    """Mean and standard deviation of each channel, 0 to 1, from at most 512 images, equally far
    apart. Raises `InputError` where none of them can be read."""
    count = len(records.labels)
    wanted = min(count, _IMAGES)
    numbers = [number * count // wanted for number in range(wanted)]
    seen = TestView(image_size)([records.read(number) for number in numbers], _NO_SEEDS)
    if not len(seen.pixels):
        raise InputError(f"{records.where}: no image could be read: {seen.reasons[0]}")
    labels = torch.zeros(len(seen.pixels), dtype=torch.int64)
    images = ImageSet(seen.pixels.permute(0, 3, 1, 2), labels, ("any",))
    return images.mean(), images.std()


_NO_SEEDS = np.zeros(0, np.uint64)
