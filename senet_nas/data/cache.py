"""Decoded image sets kept on disk, so that the second start takes no decoding."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from senet_nas.data.files import write_atomically
from senet_nas.data.image_set import ImageSet

_log = logging.getLogger(__name__)
_FORMAT = "4"  # raise it when the same source would decode to other pixels, or be kept otherwise


def cache_file(
    cache: Path, fingerprint: str, split: str, image_size: int | None, view: str = ""
) -> Path:
    """Where the decoded split of a source with this fingerprint is kept. view: how its images are
    brought to the size."""
    key = "\0".join((_FORMAT, fingerprint, split, str(image_size), view))
    return cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def read_cache(path: Path) -> ImageSet | None:
    """The set that `write_cache` kept, or None where there is none; damage is warned of."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            pixels, labels = file.get_tensor("pixels"), file.get_tensor("labels")
            about = json.loads(file.metadata()["images"])
        if about["crc32"] != _checksum(pixels, labels):
            raise ValueError("the checksum differs")
        images = pixels.permute(0, 3, 1, 2)
        return ImageSet(images, labels, tuple(about["classes"]), tuple(about["skipped"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        _log.warning("%s is damaged, images are decoded again: %s", path, error)
        return None


def write_cache(path: Path, images: ImageSet) -> None:
    """Keep a set. Several processes may write at once; where none can, a warning is all."""
    about = {
        "classes": images.classes,
        "skipped": images.skipped,
        "crc32": _checksum(images.pixels, images.labels),
    }
    tensors = {"pixels": images.pixels, "labels": images.labels}
    metadata = {"images": json.dumps(about)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not durable: a file that a loss of power damages fails its checksum and is made anew.
        write_atomically(
            path, lambda temporary: save_file(tensors, temporary, metadata), durable=False
        )
    except (OSError, SafetensorError) as error:
        _log.warning("decoded images could not be kept in %s: %s", path.parent, error)


def _checksum(pixels: Tensor, labels: Tensor) -> int:
    return zlib.crc32(labels.numpy().data, zlib.crc32(pixels.numpy().data))
