"""What travels with every exported network: how its images are made, and its classes' names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from search_space import InputError, checks
from senet_nas.data import RGB, normalise
from senet_nas.data.decode import decode_all

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint

INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """image_size: pixels a side. mean, std: of each channel, 0 to 1. classes: in the order of the
    logits. crop_pct: as timm calls it: an image's shorter side is brought to image_size / crop_pct
    pixels by `interpolation`, and its centre is taken.
    """

    image_size: int
    mean: RGB
    std: RGB
    classes: tuple[str, ...]
    crop_pct: float = 1.0
    interpolation: str = "bilinear"

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Preprocessing:
        """A checkpoint's, as `evaluate` has it."""
        of = checkpoint
        return cls(of.image_size, of.mean, of.std, of.classes, of.test_crop, of.test_interpolation)

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "image_size": self.image_size,
            "mean": list(self.mean),
            "std": list(self.std),
            "crop_pct": self.crop_pct,
            "interpolation": self.interpolation,
            "classes": list(self.classes),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Preprocessing:
        """What `to_data` wrote. Raises `InputError` naming the key that is missing or wrong."""
        wanted = ("image_size", "mean", "std", "classes")
        for key in wanted:
            if key not in data:
                raise InputError(f"its preprocessing lacks {key}")
        crop, interpolation = data.get("crop_pct", 1.0), data.get("interpolation", "bilinear")
        checks.number("crop_pct", crop, least=0.1)
        if crop > 1:
            raise InputError(f"crop_pct must be at most 1, not {crop}")
        checks.choice("interpolation", interpolation, INTERPOLATIONS)
        checks.integer("image_size", data["image_size"], least=1)
        classes = data["classes"]
        named = isinstance(classes, list | tuple) and all(isinstance(c, str) for c in classes)
        if not named or not classes:
            raise InputError("classes must be a list of names")
        mean, std = _rgb("mean", data["mean"]), _rgb("std", data["std"])
        return cls(data["image_size"], mean, std, tuple(classes), float(crop), interpolation)

    def to_texts(self) -> dict[str, str]:
        """`to_data` as texts by name: JSON, but for what is text already."""
        data = self.to_data()
        return {key: v if isinstance(v, str) else json.dumps(v) for key, v in data.items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Preprocessing:
        """What `to_texts` wrote. Raises `InputError`."""
        keys = ("image_size", "mean", "std", "crop_pct", "classes")
        try:
            data = {key: json.loads(texts[key]) for key in keys if key in texts}
        except (ValueError, RecursionError) as error:
            raise InputError(f"its preprocessing is not JSON: {error}") from None
        return cls.from_data({k: texts[k] for k in ("interpolation",) if k in texts} | data)

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) as the network takes it: float32 (N, 3, H, W)."""
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return normalise(pixels, mean, std, torch.float32).contiguous()

    def read(self, paths: Sequence[Path]) -> Tensor:
        """Image files as the network takes them: float32 (N, 3, H, W).

        Raises `InputError` naming each file that is missing, damaged, or neither JPEG nor PNG.
        """
        contents = ((index, _content(path)) for index, path in enumerate(paths))
        names = [str(path) for path in paths]
        pixels, _, skipped = decode_all(
            "images", contents, names, self.image_size, self.crop_pct, self.interpolation
        )
        if skipped:
            raise InputError(f"images: {len(skipped)} can't be read: {', '.join(skipped)}")
        return self.normalise(pixels)


def _content(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except OSError as error:
        return error.strerror or "unreadable"


def _rgb(name: str, value: object) -> RGB:
    numbers = value if isinstance(value, list | tuple) else ()
    plain = [v for v in numbers if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) != 3 or len(plain) != 3 or not all(map(math.isfinite, plain)):
        raise InputError(f"{name} must be three numbers, not {value!r}")
    if name == "std" and min(plain) <= 0:
        raise InputError(f"std must be above 0, not {value!r}")
    red, green, blue = map(float, plain)
    return red, green, blue
