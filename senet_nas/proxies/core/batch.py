"""The images that proxies look at: a few of those that candidates train on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from search_space import checks
from search_space.errors import InputError
from senet_nas.data import RGB, ImageSet, load_images, normalise, validation_split

COUNT = 64  # images
LEAST = 4  # of which a half, all that zico's norms see at once, is more than one


class Batch(NamedTuple):
    """images: float32 (N, 3, H, W), normalised, not augmented. labels: (N,)."""

    images: Tensor
    labels: Tensor
    num_classes: int


def proxy_batch(
    images: ImageSet, *, mean: RGB, std: RGB, count: int = COUNT, seed: int = 0
) -> Batch:
    """`count` images, or all where there are fewer, drawn with `seed` without regard to class.

    mean, std: of each channel, 0 to 1. Raises `InputError` for fewer than `LEAST` images.
    """
    checks.integer("images of a proxy", count, least=LEAST)
    checks.seed(seed)
    if len(images) < LEAST:
        raise InputError(f"a proxy needs at least {LEAST} images, not {len(images)}")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    chosen = images.subset(order[:count])
    device = chosen.images.device
    means, stds = torch.tensor(mean, device=device), torch.tensor(std, device=device)
    pixels = normalise(chosen.pixels, means, stds, torch.float32)
    return Batch(pixels, chosen.labels, len(images.classes))


def training_batch(
    data: str | None, image_size: int, validation: float, seed: int, count: int = COUNT
) -> Batch:
    """Some of the images that a search's candidates train on, those of validation left out.

    data, image_size: as `load_images` takes them. validation, seed: of the split.
    """
    images = load_images(data, "train", image_size)
    training, _ = validation_split(images.labels, validation, seed)
    mean, std = images.mean(), images.std()
    return proxy_batch(images.subset(training), mean=mean, std=std, count=count, seed=seed)
