"""Real images that an export is checked, calibrated and measured with: training images, since the
test images are for `evaluate` alone; of data without any, its test images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from search_space import InputError
from senet_nas.data import load_images
from senet_nas.data.centre import centred
from senet_nas.data.decode import decode_all, warn_of_damage
from senet_nas.data.load import is_downloaded, open_images
from senet_nas.data.records import Content, Records, records_of
from senet_nas.export.preprocessing import Preprocessing

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint


class RealImages:
    """Images for one network, of a folder, archive or shards, or of the carried sample of CIFAR-10,
    resized. Only as many as are asked for are decoded."""

    def __init__(self, checkpoint: Checkpoint, data: str | None = None):
        self.data = data
        self.preprocessing = Preprocessing.of(checkpoint)

    def batch(self, count: int = 32) -> Tensor:
        """Images as the network takes them: float32 (N, 3, H, W), N at most `count`."""
        return self.labelled(count)[0]

    def labelled(self, count: int) -> tuple[Tensor, Tensor | None]:
        """The same, evenly from all classes, and the number of each one's class, int64 (N,); none
        where the network doesn't know all of the classes.

        Raises `InputError` for what is wrong with the data.
        """
        carried = self.data is None or is_downloaded(self.data)
        pixels, labels, names = (self._held if carried else self._read)(count)
        known = {name: number for number, name in enumerate(self.preprocessing.classes)}
        images = self.preprocessing.normalise(pixels)
        if not set(names) <= known.keys():
            return images, None
        return images, torch.tensor([known[name] for name in names])[labels]

    def _held(self, count: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """Of small images that are kept decoded: pixels uint8 (N, H, W, 3), labels, and the names
        of these."""
        images, inputs = load_images(self.data, "train"), self.preprocessing
        chosen = _evenly(len(images), count)
        seen = [
            centred(one.numpy(), inputs.image_size, inputs.crop_pct, inputs.interpolation)
            for one in images.pixels[chosen]
        ]
        return torch.from_numpy(np.stack(seen)), images.labels[chosen], images.classes

    def _read(self, count: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """The same of images that a user names."""
        opened, inputs = open_images(self.data), self.preprocessing
        records = records_of(opened, "train" if "train" in opened.splits else "test")
        chosen = _evenly(len(records.labels), count)
        names = [records.name(number) for number in chosen]
        size, crop = inputs.image_size, inputs.crop_pct
        pixels, read, skipped = decode_all(
            records.where, _contents(records, chosen), names, size, crop, inputs.interpolation
        )
        warn_of_damage(skipped, len(names))
        return pixels, torch.from_numpy(records.labels[chosen])[read], records.classes


def _contents(records: Records, chosen: list[int]) -> Iterator[tuple[int, Content]]:
    """The content of each chosen image, by its position among them."""
    if records.is_random:
        yield from ((position, records.read(number)) for position, number in enumerate(chosen))
        return
    positions = {number: position for position, number in enumerate(chosen)}
    for number, content in records.read_all():
        if number in positions:
            yield positions.pop(number), content
        if not positions:
            return


def _evenly(total: int, count: int) -> list[int]:
    """At most `count` of the numbers below `total`, equally far apart."""
    if total < 1:
        raise InputError("there are no images")
    wanted = min(total, count)
    return [number * total // wanted for number in range(wanted)]
