"""Images that are in memory already, as records, so that worker processes can augment them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from senet_nas.data.image_set import ImageSet
from senet_nas.data.jpeg import Pixels
from senet_nas.data.records import Labels


@dataclass(frozen=True, eq=False)
class PixelRecords:
    """`Records` whose contents are pixels uint8 (H, W, 3) instead of files."""

    where: str
    images: ImageSet
    is_random = True

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Records`."""
        return self.images.classes

    @property
    def labels(self) -> Labels:
        """See `Records`."""
        labels: Labels = self.images.labels.numpy()
        return labels

    def name(self, number: int) -> str:
        """See `Records`."""
        return f"image {number}"

    def read(self, number: int) -> Pixels:
        """See `Records`."""
        pixels: Pixels = self.images.pixels[number].numpy()
        return pixels

    def read_all(self) -> Iterator[tuple[int, Pixels]]:
        """See `Records`."""
        return ((number, self.read(number)) for number in range(len(self.images)))
