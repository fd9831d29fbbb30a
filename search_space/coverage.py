"""Everything that may stand at each place of a space's networks, and which decisions say so.

A supernet needs to know, before any network is chosen, which blocks of which input widths a place
can hold (Pham et al. 2018, arXiv 1802.03268: one graph of which all networks are parts). That is
found by asking the space: which decisions change a place's block is tried out, then all
combinations of these decisions are listed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from search_space.errors import InputError
from search_space.space import Candidate, SearchSpace
from search_space.values import SE, Architecture, Block, Head

SAMPLES = 64  # random networks, in each of which each decision is changed once
MOST = 100_000  # combinations listed at one place
IMAGE_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A block without SE, and the width of what it reads."""

    block: Block
    in_channels: int


@dataclass(frozen=True, eq=False)
class Place:
    """One place of a space's networks, by the path of its block (`stages.0.blocks.1`).

    positions: of the decisions that say which variant stands here, if any does. table: for their
    option numbers the number of a variant, -1 for no block. se_positions, se_table: likewise for
    se_options, whose first is not always None.
    """

    path: str
    positions: tuple[int, ...]
    variants: tuple[Variant, ...]
    table: np.ndarray
    se_positions: tuple[int, ...]
    se_options: tuple[SE | None, ...]
    se_table: np.ndarray

    def variant(self, numbers: Sequence[int]) -> Variant | None:
        """What stands here in the network of these option numbers, SE apart."""
        index = int(self.table[tuple(numbers[position] for position in self.positions)])
        return None if index < 0 else self.variants[index]

    def se(self, numbers: Sequence[int]) -> SE | None:
        """The SE that stands here, where a block does."""
        index = tuple(numbers[position] for position in self.se_positions)
        return self.se_options[int(self.se_table[index])]

    def block(self, numbers: Sequence[int]) -> Block | None:
        """The block with its SE."""
        variant = self.variant(numbers)
        return None if variant is None else replace(variant.block, se=self.se(numbers))


@dataclass(frozen=True, eq=False)
class Coverage:
    """The places of a space's networks in the order in which they run; head: what all have."""

    space: SearchSpace
    places: tuple[Place, ...]
    head: Head
    norm_eps: float

    @cached_property
    def rows(self) -> tuple[tuple[Place, ...], ...]:
        """The places of the stem, of each stage, and of the head."""
        grouped = itertools.groupby(self.places, lambda place: place.path.rpartition(".")[0])
        return tuple(tuple(group) for _, group in grouped)

    def last_widths(self) -> tuple[int, ...]:
        """The widths that the classifier may read, ascending."""
        widths: set[int] = set()
        for place in reversed(self.places):
            widths |= {variant.block.channels for variant in place.variants}
            if (place.table >= 0).all():
                break
        return tuple(sorted(widths))


def coverage(space: SearchSpace) -> Coverage:
    """What may stand at each place of the space's networks.

    Raises `InputError` where the space is not one of architectures, where its head varies, and
    where a place depends on more decisions than can be listed.
    """
    found = _Finder(space)
    places = tuple(found.place(path) for path in found.paths)
    result = Coverage(space, places, found.head, found.norm_eps)
    _check(result, found)
    return result


class _Finder:
    """Networks of a space, and how each decision changes them."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        rng = np.random.default_rng(0)
        self.samples = [space.sample(rng) for _ in range(SAMPLES)]
        first = space.build(self.samples[0])
        if not isinstance(first, Architecture):
            raise InputError(f"space {space.name!r}: a supernet needs a space of architectures")
        self.norm_eps = first.norm_eps
        self.head = replace(first.head, blocks=())
        self.shaping: dict[str, set[int]] = {}
        self.gating: dict[str, set[int]] = {}
        self._bases: dict[str, Candidate] = {}
        for turn, sample in enumerate(self.samples):
            self._change_each(sample, turn)
        self.paths = sorted(self.shaping, key=_running_order)

    def _change_each(self, sample: Candidate, turn: int) -> None:
        """Change each decision of a network, to another option in each turn; see what changes."""
        before = self._contents(sample)
        for path in before:
            self._bases.setdefault(path, sample)
        for position, decision in enumerate(self.space.decisions):
            count = len(decision.options)
            if count == 1:
                continue
            number = (sample[position] + 1 + turn % (count - 1)) % count
            changed = [*sample[:position], number, *sample[position + 1 :]]
            after = self._contents(self.space.normalise(changed))
            for path in before.keys() | after.keys():
                self._note(position, path, before.get(path), after.get(path))

    def _note(
        self,
        position: int,
        path: str,
        old: tuple[Variant, SE | None] | None,
        new: tuple[Variant, SE | None] | None,
    ) -> None:
        shaping = self.shaping.setdefault(path, set())
        gating = self.gating.setdefault(path, set())
        if old is None or new is None:
            if old is not new:
                shaping.add(position)
            return
        if old[0] != new[0]:
            shaping.add(position)
        if old[1] != new[1]:
            gating.add(position)

    def _contents(self, candidate: Candidate) -> dict[str, tuple[Variant, SE | None]]:
        return contents(self.space.build(candidate))

    def place(self, path: str) -> Place:
        """List all combinations of the decisions that a place depends on."""
        shaping, gating = sorted(self.shaping[path]), sorted(self.gating[path])
        variants: dict[Variant, int] = {}
        table = np.full(self._lengths(path, shaping), -1)
        base = self._bases[path]
        for index, numbers in self._combinations(base, shaping):
            block = self._contents(numbers).get(path)
            if block is not None:
                table[index] = variants.setdefault(block[0], len(variants))
        options: dict[SE | None, int] = {}
        se_table = np.zeros(self._lengths(path, gating), dtype=int)
        for index, numbers in self._combinations(base, gating):
            se_table[index] = options.setdefault(self._contents(numbers)[path][1], len(options))
        return Place(
            path,
            tuple(shaping),
            tuple(variants),
            table,
            tuple(gating),
            tuple(options),
            se_table,
        )

    def _lengths(self, path: str, positions: Sequence[int]) -> tuple[int, ...]:
        lengths = tuple(len(self.space.decisions[position].options) for position in positions)
        if math.prod(lengths) > MOST:
            raise InputError(
                f"space {self.space.name!r}: {path} depends on {len(positions)} decisions with "
                f"{math.prod(lengths)} combinations; a supernet lists at most {MOST}"
            )
        return lengths

    def _combinations(
        self, base: Candidate, positions: Sequence[int]
    ) -> Iterator[tuple[tuple[int, ...], Candidate]]:
        ranges = [range(len(self.space.decisions[position].options)) for position in positions]
        for index in itertools.product(*ranges):
            numbers = list(base)
            for position, number in zip(positions, index, strict=True):
                numbers[position] = number
            yield index, self.space.normalise(numbers)


def contents(architecture: Architecture) -> dict[str, tuple[Variant, SE | None]]:
    """For the path of each block what it is without SE, what it reads, and its SE."""
    width = IMAGE_CHANNELS
    found = {}
    for path, block in architecture.blocks():
        found[path] = Variant(replace(block, se=None), width), block.se
        width = block.channels
    return found


def _running_order(path: str) -> tuple[int, ...]:
    row, *numbers = path.split(".")
    return ({"stem": 0, "stages": 1, "head": 2}[row], *(int(n) for n in numbers if n.isdigit()))


def _check(found: Coverage, finder: _Finder) -> None:
    """Raise where the places, put together, aren't what the space builds."""
    for sample in finder.samples:
        architecture = found.space.build(sample)
        if (replace(architecture.head, blocks=()), architecture.norm_eps) != (
            found.head,
            found.norm_eps,
        ):
            raise InputError(f"space {found.space.name!r}: a supernet needs one head for all")
        blocks = {place.path: block for place in found.places if (block := place.block(sample))}
        if blocks != dict(architecture.blocks()):
            raise InputError(
                f"space {found.space.name!r}: where SE stands depends on the rest of the block; "
                "a supernet can't tell them apart"
            )
