"""A network that somebody else wrote, from a reference that fits into one line of a run file:
`timm:NAME`, `torchvision:NAME`, or `package.module:function`."""

from __future__ import annotations

import importlib
import inspect
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import nn

from search_space import InputError
from search_space.errors import one_of
from senet_nas.nn.foreign.weights_file import (
    classifier_name,
    load_into,
    read_weights,
    renew_classifier,
)

KINDS = "timm:NAME, torchvision:NAME or package.module:function"

# The normalisation that most weights for ImageNet expect, of each channel from 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SIZE = 224
IMAGENET_STD = (0.229, 0.224, 0.225)

HALF = (0.5, 0.5, 0.5)

# torchvision's networks with auxiliary heads, which return other things when they train.
AUXILIARY = ("googlenet", "inception_v3")
AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")

Three = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A model with the preprocessing that its weights expect.

    image_size: in pixels; mean, std: of each channel, 0 to 1; crop_pct: the side of the centre that
    is taken over the shorter side that an image is brought to by `interpolation`; None for a
    function's. classes: names in the order of the logits (WordNet ids for ImageNet, as its folders
    are named), None where they aren't known.
    """

    model: nn.Module
    reference: str
    image_size: int | None = None
    mean: Three | None = None
    std: Three | None = None
    classes: tuple[str, ...] | None = None
    crop_pct: float | None = None
    interpolation: str | None = None

    def model_outputs(self) -> int:
        """The number of logits."""
        return outputs(self.model)


def load_source(
    reference: str,
    num_classes: int | None = None,
    weights: str | os.PathLike[str] = "pretrained",
    seed: int = 0,
) -> Source:
    """The model that a reference names, on the CPU, in evaluation mode.

    num_classes: the weights' own where it isn't given; where it is another, the classifier is
    new. weights: `pretrained`, `random` (drawn from `seed`), or a file. A function of
    `package.module:function` is called with `num_classes` if it takes it, and it decides about
    its weights unless a file is given. Torch's global generator stays as it was.
    Raises `InputError` for what is unknown or doesn't fit, and where weights can't be had.
    """
    kind, _, name = reference.partition(":")
    if not kind or not name:
        raise InputError(f"network {reference!r} must be {KINDS}")
    if num_classes is not None and num_classes < 1:
        raise InputError(f"num_classes must be at least 1, not {num_classes}")
    known = {"timm": _from_timm, "torchvision": _from_torchvision}
    load = known.get(kind) or partial(_from_function, kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        source = load(name, num_classes, os.fspath(weights))
    source.model.eval()
    return source


def _from_timm(name: str, num_classes: int | None, weights: str) -> Source:
    import timm
    from timm.data import resolve_data_config

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise _unknown("timm network", architecture, timm.list_models())
    tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise one_of(f"tag of timm's {architecture}", tag, tags)

    def build(classes: int | None, pretrained: bool = False) -> nn.Module:
        chosen: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        model: nn.Module = timm.create_model(name, pretrained=pretrained, **chosen)
        return model

    if weights == "pretrained":
        with _offline_where_unreachable():
            model = _fetched(f"timm:{name}", lambda: build(num_classes, pretrained=True))
    else:
        model = _built(build, num_classes, weights)
    config = resolve_data_config({}, model=model)
    mean, std = config["mean"], config["std"]
    return Source(
        model,
        f"timm:{name}",
        config["input_size"][-1],
        mean,
        std,
        _imagenet_classes(model),
        config["crop_pct"],
        config["interpolation"],
    )


def _from_torchvision(name: str, num_classes: int | None, weights: str) -> Source:
    from torchvision import models

    architecture, _, tag = name.partition(".")
    known = models.list_models(module=models)
    if architecture not in known:
        raise _unknown("torchvision network", architecture, known)
    members = models.get_model_weights(architecture)
    if tag and tag not in members.__members__:
        raise one_of(f"weights of torchvision's {architecture}", tag, list(members.__members__))
    chosen = members[tag] if tag else members.DEFAULT

    def build(classes: int | None, pretrained: bool = False) -> nn.Module:
        settings: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        if architecture in AUXILIARY:
            settings |= {"transform_input": False}
            settings |= {} if pretrained else {"aux_logits": False, "init_weights": True}
        given = chosen if pretrained else None
        model: nn.Module = models.get_model(architecture, weights=given, **settings)
        return _without_heads(model) if architecture in AUXILIARY else model

    if weights == "pretrained":
        model = _fetched(f"torchvision:{name}", lambda: build(None, pretrained=True))
        if num_classes not in (None, outputs(model)):
            renew_classifier(model, num_classes)
    else:
        model = _built(build, num_classes, weights, AUXILIARY_HEADS)
    preset = chosen.transforms()
    (size,), mean, std = preset.crop_size, tuple(preset.mean), tuple(preset.std)
    if architecture in AUXILIARY and weights == "pretrained":
        mean = std = HALF  # what its `transform_input` makes of ImageNet's, without it
    crop, way = size / preset.resize_size[0], preset.interpolation.value
    classes = _imagenet_classes(model)
    return Source(model, f"torchvision:{name}", size, mean, std, classes, crop, way)


def _without_heads(model: nn.Module) -> nn.Module:
    """torchvision builds its published weights' network with the auxiliary heads alone."""
    model.aux_logits = False  # type: ignore[assignment]
    for prefix in AUXILIARY_HEADS:
        setattr(model, prefix[:-1], None)
    return model


def _from_function(module_name: str, name: str, num_classes: int | None, weights: str) -> Source:
    reference = f"{module_name}:{name}"
    try:
        function = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        hint = f"it must be {KINDS}; PYTHONPATH=. makes modules of this folder known"
        raise InputError(f"network {reference!r}: {error} ({hint})") from None
    if not callable(function):
        raise InputError(f"network {reference!r} must be a function, not {function!r}")
    signature = inspect.signature(function)
    takes = signature.parameters.values()
    takes_classes = any(p.name == "num_classes" or p.kind is p.VAR_KEYWORD for p in takes)

    def build(classes: int | None) -> nn.Module:
        settings = {"num_classes": classes} if takes_classes and classes is not None else {}
        try:
            signature.bind(**settings)
        except TypeError as error:
            raise InputError(f"network {reference!r} cannot be called: {error}") from None
        model = function(**settings)
        if not isinstance(model, nn.Module):
            kind = type(model).__name__
            raise InputError(f"network {reference!r} must return an nn.Module, not {kind}")
        return model

    if weights in ("pretrained", "random"):
        return Source(build(num_classes), reference)
    return Source(_built(build, num_classes, weights), reference)


def _built(
    build: Callable[[int | None], nn.Module],
    num_classes: int | None,
    weights: str,
    ignored: tuple[str, ...] = (),
) -> nn.Module:
    if weights == "random":
        return build(num_classes)
    return load_into(build, num_classes, read_weights(weights), weights, ignored)


def _fetched(reference: str, fetch: Callable[[], nn.Module]) -> nn.Module:
    try:
        return fetch()
    except Exception as error:  # each of the clients that they use has errors of its own
        problem = (str(error) or type(error).__name__).split("\n", maxsplit=1)[0]
        raise InputError(
            f"{reference}: no pretrained weights: {problem} (weights may be a file, or random)"
        ) from None


@contextmanager
def _offline_where_unreachable() -> Iterator[None]:
    """What is cached serves without a network, and what isn't fails at once: the hub's client
    would try again for most of a minute, twice a file."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _resolves(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _resolves(address: str) -> bool:
    if getproxies():  # the proxy knows
        return True
    try:
        return bool(socket.getaddrinfo(urlsplit(address).hostname, None))
    except OSError:
        return False


def outputs(model: nn.Module) -> int:
    """The number of logits that a model gives."""
    return len(model.get_parameter(classifier_name(model) + ".weight"))


def _imagenet_classes(model: nn.Module) -> tuple[str, ...] | None:
    """WordNet ids where the number of classes is that of an ImageNet."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": outputs(model)})
    return tuple(ImageNetInfo(subset).label_names()) if subset else None


def _unknown(kind: str, name: str, known: list[str]) -> InputError:
    """As `one_of`, for lists that are too long to print."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"; close to it: {', '.join(near)}" if near else ""
    return InputError(f"{kind} {name!r} is not known{hint} ({len(known)} are)")
