"""Another library's network and weights as a checkpoint of ours."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from torch import nn

from senet_nas.nn.foreign.importing import import_network
from senet_nas.nn.foreign.source import IMAGENET_MEAN, IMAGENET_SIZE, IMAGENET_STD, load_source
from senet_nas.training.checkpoint import Checkpoint, rgb


def import_checkpoint(
    reference: str,
    weights: str | os.PathLike[str] = "pretrained",
    num_classes: int | None = None,
    seed: int = 0,
) -> Checkpoint:
    """The network that `timm:NAME`, `torchvision:NAME` or `package.module:function` names, as a
    checkpoint that computes the same.

    weights: `pretrained`, `random` (drawn from `seed`), or a file. num_classes: the weights' own
    where it isn't given; where it is another, the classifier is new. Classes are WordNet ids
    where there are as many as in an ImageNet, as its folders are named, or else numbers.
    Raises `InputError` for what is unknown, doesn't fit or isn't expressible, `RunError` where
    the outputs differ.
    """
    source = load_source(reference, num_classes, weights, seed)
    size = source.image_size or IMAGENET_SIZE
    network, architecture = import_network(source.model, size)
    cut = {"crop_pct": source.crop_pct, "interpolation": source.interpolation}
    outputs = source.model_outputs()
    return Checkpoint(
        architecture,
        network.state_dict(),
        source.classes or tuple(str(number) for number in range(outputs)),
        rgb(source.mean or IMAGENET_MEAN),
        rgb(source.std or IMAGENET_STD),
        size,
        {
            "source": reference,
            **_library(reference),
            "weights": _told(weights, seed),
            "weights_sha256": weights_hash(source.model),
            **{key: value for key, value in cut.items() if value is not None},
        },
    )


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of the tensors' names and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _told(weights: str | os.PathLike[str], seed: int) -> str:
    text = os.fspath(weights)
    if text == "random":
        return f"random, seed {seed}"
    return text if text == "pretrained" else Path(text).name


def _library(reference: str) -> dict[str, str]:
    package = reference.partition(":")[0].partition(".")[0]
    try:
        return {"library": f"{package} {version(package)}"}
    except PackageNotFoundError:  # a module of the user's own
        return {}
