"""Policies of many image operations: timm's RandAugment and AutoAugment, torchvision's
TrivialAugment and colour jitter, each drawing from the seed of its image."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from senet_nas.data.augmentation import WIDE, Augmentation
from senet_nas.data.image_set import RGB
from senet_nas.data.jpeg import Pixels

_TRANSLATED = 0.45  # timm: the most that an image is shifted, of its side
_HALF = 2**32


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Operations on one image uint8 (H, W, 3)."""

    steps: tuple[Callable[[Pixels], Pixels], ...]

    def __call__(self, pixels: Pixels, seed: int) -> Pixels:
        """The image after all of them; the global generators are afterwards as they were."""
        with _seeded(seed):
            for step in self.steps:
                pixels = step(pixels)
        return pixels


def make_policy(augmentation: Augmentation, image_size: int, mean: RGB) -> Policy | None:
    """An augmentation's policy, and its colour jitter behind it; None where it has neither.

    mean: of each channel, 0 to 1: the colour of what an operation leaves empty.
    """
    steps: list[Callable[[Pixels], Pixels]] = []
    if augmentation.auto_augment == WIDE:
        from torchvision.transforms import InterpolationMode, v2

        steps.append(_on_tensor(v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)))
    elif augmentation.auto_augment:
        steps.append(_on_pillow(_timm_policy(augmentation, image_size, mean)))
    if augmentation.color_jitter:
        from torchvision.transforms import v2

        steps.append(_on_tensor(v2.ColorJitter(*(augmentation.color_jitter,) * 3)))
    return Policy(tuple(steps)) if steps else None


def _timm_policy(augmentation: Augmentation, image_size: int, mean: RGB) -> Any:
    """Set up as timm's `transforms_imagenet_train` does."""
    from timm.data.auto_augment import auto_augment_transform, rand_augment_transform

    settings: dict[str, Any] = {
        "translate_const": int(image_size * _TRANSLATED),
        "img_mean": tuple(min(255, round(255 * value)) for value in mean),
    }
    if len(augmentation.interpolations) == 1:
        name = augmentation.interpolation.upper()
        settings["interpolation"] = Image.Resampling[name]
    words = augmentation.auto_augment
    make = rand_augment_transform if words.startswith("rand") else auto_augment_transform
    return make(words, settings)


def _on_pillow(transform: Any) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.array(transform(Image.fromarray(pixels)))


def _on_tensor(transform: Any) -> Callable[[Pixels], Pixels]:
    def step(pixels: Pixels) -> Pixels:
        changed: Pixels = transform(torch.from_numpy(pixels).permute(2, 0, 1)).numpy()
        return changed.transpose(1, 2, 0)

    return step


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Inside, the generators that libraries draw from are those of a seed of 64 bits."""
    before = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    try:
        random.seed(seed)
        np.random.seed([seed % _HALF, seed // _HALF])
        torch.default_generator.manual_seed(seed >> 1)
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.default_generator.set_state(before[2])
