"""Which of an image's random numbers decides what: each image of an epoch has a seed of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from senet_nas.data.augmentation import Augmentation
from senet_nas.data.crops import DRAWS, Boxes, Floats, crop_boxes, erased_boxes
from senet_nas.data.order import Seeds, uniforms

_NUMBERS = 2 * DRAWS + 7


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """numbers: uniform in 0 to 1, (N, 2 * DRAWS + 7), a row an image."""

    augmentation: Augmentation
    numbers: Floats

    @classmethod
    def of(cls, augmentation: Augmentation, seeds: Seeds) -> Chance:
        """What chance decides for images with these seeds, uint64 (N,)."""
        return cls(augmentation, uniforms(seeds, _NUMBERS))

    def boxes(self, heights: Boxes, widths: Boxes) -> Boxes:
        """The parts to cut out: see `crop_boxes`."""
        scale, ratio = self.augmentation.crop_scale, self.augmentation.crop_ratio
        return crop_boxes(heights, widths, self.numbers[:, :DRAWS], scale, ratio)

    def interpolations(self) -> npt.NDArray[np.int64]:
        """Which of the augmentation's interpolations each is resized by."""
        return _below(self.numbers[:, DRAWS], len(self.augmentation.interpolations))

    def erased(self, height: int, width: int) -> Boxes:
        """The parts to erase: see `erased_boxes`."""
        numbers = self.numbers[:, DRAWS + 1 : 2 * DRAWS + 2]
        return erased_boxes(height, width, numbers, self.augmentation.erase_probability)

    def flips(self) -> npt.NDArray[np.bool_]:
        """Which are mirrored."""
        share = 0.5 if self.augmentation.flip else 0.0
        flips: npt.NDArray[np.bool_] = self.numbers[:, -5] < share
        return flips

    def shifts(self) -> Boxes:
        """Where in its padded image a crop begins, (N, 2): down, right."""
        return _below(self.numbers[:, -4:-2], 2 * self.augmentation.crop_padding + 1)

    def centres(self, size: int) -> Boxes:
        """The centres of the blanked squares, (N, 2): row, column."""
        return _below(self.numbers[:, -2:], size)


def _below(numbers: Floats, limit: int) -> Boxes:
    return (numbers * limit).astype(np.int64)
