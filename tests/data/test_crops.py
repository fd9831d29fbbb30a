"""Rectangles drawn by chance, against timm's and torchvision's."""

import random

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation

from senet_nas.data.crops import DRAWS, crop_boxes, erased_boxes
from senet_nas.data.erasing import erase
from senet_nas.data.order import image_seeds, uniforms

COUNT = 6000


def chance(count, numbers, seed=0):
    return uniforms(image_seeds(seed, 0, np.arange(count)), numbers)


def test_uniform_numbers_are_uniform_and_each_seed_has_its_own():
    numbers = chance(20_000, 29)
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = np.histogram(numbers, 20, (0, 1))[0] / numbers.size
    assert counts == pytest.approx(np.full(20, 0.05), abs=0.002)
    correlation = np.corrcoef(numbers.T)
    assert np.abs(correlation - np.eye(29)).max() < 0.04
    assert len(np.unique(numbers)) == numbers.size
    seeds = image_seeds(5, 2, np.array([3, 700]))
    assert np.array_equal(uniforms(seeds[1:], 4), uniforms(seeds, 4)[1:])
    assert not np.array_equal(image_seeds(5, 3, np.array([3, 700])), seeds)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (32, 32), (64, 600)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.35, 1.0)])
def test_crops_are_distributed_as_timms(height, width, scale):
    ratio = (3 / 4, 4 / 3)
    sides = np.full(COUNT, height), np.full(COUNT, width)
    boxes = crop_boxes(*sides, chance(COUNT, DRAWS), scale, ratio)
    random.seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array(
        [RandomResizedCropAndInterpolation.get_params(image, scale, ratio) for _ in range(COUNT)]
    )
    for column in range(4):
        assert ks_2samp(boxes[:, column], theirs[:, column]).pvalue > 1e-3
    assert ks_2samp(boxes[:, 2] * boxes[:, 3], theirs[:, 2] * theirs[:, 3]).pvalue > 1e-3
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] > 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= height).all()
    assert (boxes[:, 1] + boxes[:, 3] <= width).all()


def test_where_nothing_fits_the_largest_centred_part_is_taken():
    sides = np.array([10, 1000]), np.array([1000, 10])
    boxes = crop_boxes(*sides, chance(2, DRAWS), (1.0, 1.0), (3 / 4, 4 / 3))
    assert boxes.tolist() == [[0, 493, 10, 13], [493, 0, 13, 10]]


def test_erased_parts_are_distributed_as_timms():
    size, probability = 64, 0.4
    boxes = erased_boxes(size, size, chance(COUNT, 1 + DRAWS), probability)
    random.seed(0)
    timm = RandomErasing(probability, mode="const", device="cpu")
    theirs = []
    for _ in range(COUNT):
        blank = (timm(torch.ones(1, size, size)) == 0)[0]
        rows, columns = blank.any(1).nonzero()[:, 0], blank.any(0).nonzero()[:, 0]
        first = (int(rows[0]), int(columns[0])) if len(rows) else (0, 0)
        theirs.append((*first, len(rows), len(columns)))
    theirs = np.array(theirs)
    mine, erased = boxes[boxes[:, 2] > 0], theirs[theirs[:, 2] > 0]
    assert len(mine) / COUNT == pytest.approx(probability, abs=0.03)
    assert len(erased) / COUNT == pytest.approx(probability, abs=0.03)
    for column in range(4):
        assert ks_2samp(mine[:, column], erased[:, column]).pvalue > 1e-3


@pytest.mark.parametrize("mode", ["pixel", "rand", "const"])
def test_an_erased_part_is_filled_from_the_seed_of_its_image(mode):
    seeds = image_seeds(0, 0, np.arange(3))
    boxes = np.array([[2, 3, 20, 24], [0, 0, 0, 0], [30, 10, 30, 50]])

    def erased(order):
        images = torch.full((len(order), 3, 64, 64), 7.0)
        erase(images, boxes[order], seeds[order], mode)
        return images

    images = erased([0, 1, 2])
    assert (images[1] == 7).all() and (images[0, :, :2] == 7).all()
    assert torch.equal(erased([2, 0]), images[[2, 0]])
    part = images[2, :, 30:60, 10:60]
    assert (images[2] == 7).sum() == 3 * 64 * 64 - part.numel()
    if mode == "const":
        assert (part == 0).all()
    elif mode == "rand":
        assert len(part.flatten(1).unique(dim=1)[0]) == 1 and len(part.unique()) == 3
    else:
        assert part.mean() == pytest.approx(0, abs=0.06)
        assert part.std() == pytest.approx(1, abs=0.06)
