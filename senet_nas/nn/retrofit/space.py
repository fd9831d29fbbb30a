"""The search space of a network's places: SE or none at each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from search_space import SE, InputError, SearchSpace
from search_space.retrofit import Retrofit, neutral_gate
from search_space.se_options import se_at
from senet_nas.nn.retrofit.calls import Inputs, arguments
from senet_nas.nn.retrofit.places import Place, Where, find_places

OPTIONS = tuple(neutral_gate(SE(r)) for r in (4, 8, 16))


def retrofit_space(
    model: nn.Module,
    example_input: Inputs,
    options: Sequence[SE | None] = OPTIONS,
    where: Where = None,
    source: str = "",
) -> SearchSpace:
    """A space with a decision for each of `find_places`, named as the place: none, or one of the
    options. It builds a `Retrofit`, whose source is what the model is called.

    Options that come to the same hidden width at a place are the same network there. Raises
    `InputError` where the model has no place.
    """
    places = find_places(model, example_input, where)
    if not places:
        raise InputError("the model has no place for SE; name modules in `where`")
    image = arguments(example_input)[0]
    size = image.shape[-1] if isinstance(image, Tensor) and image.dim() == 4 else None
    return space_of_places(places, options, source, size)


def space_of_places(
    places: Sequence[Place],
    options: Sequence[SE | None] = OPTIONS,
    source: str = "",
    image_size: int | None = None,
) -> SearchSpace:
    """The space of places that are known already."""
    present = [option for option in dict.fromkeys(options) if option is not None]
    for option in present:
        if not isinstance(option, SE):
            raise InputError(f"options must be SE values, not {option!r}")
        neutral_gate(option)
    if not present:
        raise InputError("options must name at least one SE")
    decisions = [se_at(place.name, present) for place in places]
    widths = {place.name: place.channels for place in places}
    return SearchSpace(
        f"retrofit {source}".strip(),
        tuple(decisions),
        partial(_built, source=source),
        image_size,
        partial(_key, widths=widths),
    )


def _built(choices: Mapping[str, Any], source: str) -> Retrofit:
    return Retrofit.of(choices, source)


def _key(built: Retrofit, widths: Mapping[str, int]) -> str:
    return built.key(widths)
