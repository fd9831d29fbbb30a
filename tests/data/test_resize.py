"""Smaller versions of images, against Pillow's."""

import numpy as np
import pytest
import torch
from PIL import Image

from senet_nas.data import SAMPLE, load_images, resized


@pytest.mark.parametrize("size", [16, 24])
def test_smaller_images_are_pillows(size):
    images = load_images(SAMPLE, "test").subset(range(8))
    smaller = resized(images, size)
    assert smaller.images.shape == (8, 3, size, size)
    assert smaller.labels.equal(images.labels)
    for pixels, found in zip(images.pixels, smaller.pixels, strict=True):
        image = Image.fromarray(pixels.numpy()).resize((size, size), Image.Resampling.BILINEAR)
        difference = np.asarray(image).astype(int) - found.numpy()
        assert np.abs(difference).max() <= 1


def test_the_same_size_is_the_same_images():
    images = load_images(SAMPLE, "test").subset(range(2))
    assert torch.equal(resized(images, 32).images, images.images)
