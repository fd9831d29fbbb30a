"""Every part that a space's networks can have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from search_space import SearchSpace
from search_space.coverage import IMAGE_CHANNELS, Coverage, Place, coverage
from senet_nas.latency.parts import Part, block_part, classifier_part
from senet_nas.nn.network import map_after

Sides = dict[str, set[tuple[int, int]]]  # height and width of the maps that each place may read


def parts_of_space(space: SearchSpace, image_size: int, classes: int) -> dict[str, Part]:
    """The distinct parts of all networks of a space, by key, in the order in which they run.

    Raises `InputError` for a space whose places can't be listed (`coverage`), and for images that
    are too small.
    """
    found = coverage(space)
    sides, last = _sides(found, image_size)
    parts = [part for place in found.places for part in _of_place(place, sides)]
    parts += [
        classifier_part(found.head, (width, *side), classes)
        for width in found.last_widths() or (IMAGE_CHANNELS,)
        for side in last
    ]
    return {part.key: part for part in parts}


def _of_place(place: Place, sides: Sides) -> Iterator[Part]:
    for side in sorted(sides[place.path]):
        for variant in place.variants:
            for se in place.se_options:
                yield block_part(replace(variant.block, se=se), (variant.in_channels, *side))


def _sides(found: Coverage, image_size: int) -> tuple[Sides, list[tuple[int, int]]]:
    """What each place may read, and the classifier."""
    here, sides = {(image_size, image_size)}, {}
    for place in found.places:
        sides[place.path] = here
        after = {
            map_after(variant.block, (variant.in_channels, *side))[1:]
            for variant in place.variants
            for side in here
        }
        here = here | after if (place.table < 0).any() else after
    return sides, sorted(here)
