"""A network that a reference names, with SE at its places: the space of them, and each built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from search_space import SE, InputError, Retrofit, SearchSpace
from search_space.retrofit import neutral_gate
from search_space.se_options import se_values
from senet_nas.nn.foreign.source import Source, load_source
from senet_nas.nn.retrofit import retrofit, retrofit_space
from senet_nas.nn.retrofit.attach import IMAGE_SIZES
from senet_nas.nn.retrofit.calls import first_line

DEFAULT_OPTIONS = {"r": (4, 8, 16)}


def source_space(
    reference: str, options: Mapping[str, Any] | None = None, where: tuple[str, ...] | None = None
) -> SearchSpace:
    """SE or none at each place of the network that a reference names.

    options: by SE's field a value or several, r = 4, 8, 16 where none are given. where: kinds of
    places, or names and patterns of modules; all kinds, else. Raises `InputError` for what isn't
    known, and for a network without such places.
    """
    source = load_source(reference, weights="random")
    images = _example(source)
    values = se_values(neutral_gate(SE()), {**DEFAULT_OPTIONS, **(options or {})})
    space = retrofit_space(source.model, images, values, where, reference)
    return replace(space, image_size=source.image_size)


def build_retrofit(value: Retrofit, num_classes: int) -> nn.Module:
    """The network with random weights. SE's are drawn from torch's global generator, the
    network's own from a fixed seed.

    Raises `InputError` where the source names no network or it has no such places.
    """
    if not value.source:
        raise InputError("the retrofitted network isn't named, so it can't be built anew")
    source = load_source(value.source, num_classes, "random")
    return retrofit(source.model, value, _example(source) if value.gates else None)


def _example(source: Source) -> Tensor:
    """Images that the network takes: of its own size, or of a common size that it runs on."""
    fault = ""
    for size in (source.image_size,) if source.image_size else IMAGE_SIZES:
        images = torch.zeros(1, 3, size, size)
        try:
            with torch.no_grad():
                source.model.eval()(images)
            return images
        except Exception as error:  # whatever a user's network raises
            fault = fault or first_line(error)
    raise InputError(f"{source.reference} takes no images of {IMAGE_SIZES} pixels: {fault}")
