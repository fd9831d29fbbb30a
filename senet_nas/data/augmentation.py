"""What is done to training images, as a value: each field is a key of recipes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from search_space import checks
from search_space.errors import InputError

CROPS = ("padded", "resized")
PADDINGS = ("reflect", "zero")
INTERPOLATIONS = ("bilinear", "bicubic")
ERASE_MODES = ("pixel", "rand", "const")

_RANDOM = "random"
_NUMBER = r"\d+(\.\d+)?"
_POLICY = re.compile(
    rf"rand(-([mn]\d+|mmax\d+|inc[01]|(mstd|p){_NUMBER}))*|(original|v0)r?(-mstd{_NUMBER})?"
)
WIDE = "ta_wide"


@dataclass(frozen=True, slots=True)
class Augmentation:
    """In the order in which it is done:

    crop: `padded` (arXiv 1512.03385, section 4.2) shifts the image, already of the size asked for,
    by up to crop_padding pixels to each side; `padding` is what lies outside, its mirror image
    (reflect) or black (zero). `resized` (arXiv 1409.4842) cuts out a part of crop_scale of the
    area, of an aspect ratio in crop_ratio, and resizes it, by `interpolation` (antialiased), which
    may be `random`: one of the two for each image.
    flip: mirror half of the images left to right.
    auto_augment: a policy in timm's words, `rand-m7-mstd0.5-inc1` (RandAugment, arXiv 1909.13719)
    or `original`, `v0` (AutoAugment, arXiv 1805.09501), or torchvision's `ta_wide` (TrivialAugment,
    arXiv 2103.10158); empty for none.
    color_jitter: brightness, contrast and saturation times 1 - color_jitter to 1 + color_jitter.
    cutout (arXiv 1708.04552): side in pixels of a square that is blanked (to the mean colour), 0
    for none.
    erase_probability: of an image in which a rectangle is erased (arXiv 1708.04896); erase_mode:
    to noise a pixel (`pixel`), one random colour (`rand`), or the mean colour (`const`).
    """

    crop_padding: int = 0
    padding: str = "reflect"
    flip: bool = False
    cutout: int = 0
    crop: str = "padded"
    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    auto_augment: str = ""
    color_jitter: float = 0.0
    erase_probability: float = 0.0
    erase_mode: str = "pixel"

    def __post_init__(self) -> None:
        checks.choice("crop", self.crop, CROPS)
        checks.integer("crop_padding", self.crop_padding, least=0)
        checks.choice("padding", self.padding, PADDINGS)
        checks.boolean("flip", self.flip)
        checks.integer("cutout", self.cutout, least=0)
        for name in ("crop_scale", "crop_ratio"):
            object.__setattr__(self, name, _interval(name, getattr(self, name)))
        if self.crop_scale[1] > 1:
            raise InputError(f"crop_scale must end at 1 at most, not {self.crop_scale[1]:g}")
        checks.choice("interpolation", self.interpolation, (*INTERPOLATIONS, _RANDOM))
        _check_policy(self.auto_augment)
        checks.number("color_jitter", self.color_jitter, least=0.0)
        checks.number("erase_probability", self.erase_probability, least=0.0)
        for name in ("color_jitter", "erase_probability"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} must be at most 1, not {getattr(self, name):g}")
        checks.choice("erase_mode", self.erase_mode, ERASE_MODES)

    @property
    def is_batched(self) -> bool:
        """Whether all of it can be done to whole batches on the training device."""
        return not self.auto_augment and not self.color_jitter

    @property
    def interpolations(self) -> tuple[str, ...]:
        """Those that a crop is resized by."""
        return INTERPOLATIONS if self.interpolation == _RANDOM else (self.interpolation,)


def _interval(name: str, value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"{name} must be two numbers, the least and the most, not {value!r}")
    for end in value:
        checks.number(name, end, least=0.0)
    least, most = map(float, value)
    if not 0 < least <= most:
        raise InputError(f"{name} must be two numbers above 0 in rising order, not {value!r}")
    return least, most


def _check_policy(policy: object) -> None:
    known = isinstance(policy, str) and (
        policy in ("", WIDE) or _POLICY.fullmatch(policy) is not None
    )
    if not known:
        raise InputError(
            f"auto_augment {policy!r} is not known (allowed: ta_wide; timm's rand-…, as in "
            "'rand-m7-mstd0.5-inc1', original, v0; or empty)"
        )
