"""A search space: named categorical decisions, and a function from choices to what they build.

A candidate is a tuple of option numbers, one a decision, always normalised: a decision that the
others switch off stands at 0. So equal choices are equal candidates, and strategies can hash,
compare and store them without looking inside. Different choices may still come to the same network
(another r, the same hidden width): a space that can tell says so by `identify`, and a search then
proposes one of them.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from search_space.errors import InputError, one_of
from search_space.values import SE

Candidate = tuple[int, ...]
Choices = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """One named choice among at least one option (any hashable values).

    when: the decision counts only where each decision named here has one of the options listed.
    weights: relative probabilities of the options when they are drawn; none means uniform.
    """

    name: str
    options: tuple[Hashable, ...]
    when: Mapping[str, Sequence[Hashable]] = field(default_factory=dict)
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options:
            raise InputError(f"decision {self.name!r} has no options")
        try:
            distinct = {_identity(option) for option in self.options}
        except TypeError:
            raise InputError(f"decision {self.name!r}: options must be hashable") from None
        if len(distinct) < len(self.options):
            raise InputError(f"decision {self.name!r} lists an option twice: {self.options}")
        if self.weights is not None and (
            len(self.weights) != len(self.options) or min(self.weights) <= 0
        ):
            raise InputError(f"decision {self.name!r} needs one positive weight an option")

    def index(self, option: object) -> int:
        """The number of an option. Raises `InputError` where it isn't one."""
        for number, known in enumerate(self.options):
            if _identity(known) == (isinstance(option, bool), option):
                return number
        raise one_of(f"{self.name}:", option, [option_label(known) for known in self.options])


def _identity(option: Hashable) -> tuple[bool, Hashable]:
    hash(option)
    return isinstance(option, bool), option  # True == 1, but they are two options


def option_label(option: object) -> str:
    """An option in short, for tables and hashes."""
    if isinstance(option, SE):
        return option.label()
    return "none" if option is None else str(option)


@dataclass(frozen=True)
class SearchSpace:
    """Named categorical decisions, and `builder`, from a full set of choices to what they mean
    (for networks an `Architecture`). Everything that strategies need is written here once.

    image_size: the side in pixels of the images that its networks are made for, where they are.
    identify: from what is built to a value that is equal where candidates stand for the same; none
    where different candidates are always different.
    """

    name: str
    decisions: tuple[Decision, ...]
    builder: Callable[[Choices], Any] = dict
    image_size: int | None = None
    identify: Callable[[Any], Hashable] | None = None

    def __post_init__(self) -> None:
        if not self.decisions:
            raise InputError(f"space {self.name!r} has no decisions")
        if len(self._positions) < len(self.decisions):
            seen = [decision.name for decision in self.decisions]
            twice = next(name for name in seen if seen.count(name) > 1)
            raise InputError(f"space {self.name!r} has two decisions named {twice!r}")
        _ = self._conditions  # raises where a condition can't be met

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {decision.name: position for position, decision in enumerate(self.decisions)}

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(len(decision.options) for decision in self.decisions)

    @cached_property
    def _conditions(self) -> tuple[tuple[tuple[int, frozenset[int]], ...], ...]:
        """For each decision, which option numbers of which earlier positions switch it on."""
        return tuple(self._resolve(position) for position in range(len(self.decisions)))

    def _resolve(self, position: int) -> tuple[tuple[int, frozenset[int]], ...]:
        decision = self.decisions[position]
        resolved = []
        for name, options in decision.when.items():
            parent = self._positions.get(name, position)
            if parent >= position:
                raise InputError(f"{decision.name!r} depends on {name!r}, which must stand before")
            allowed = frozenset(self.decisions[parent].index(option) for option in options)
            resolved.append((parent, allowed))
        return tuple(resolved)

    @classmethod
    def from_choices(
        cls,
        choices: Mapping[str, Sequence[Hashable]],
        builder: Callable[[Choices], Any] = dict,
        name: str = "choices",
    ) -> SearchSpace:
        """A space from plain lists of options: `from_choices({"kernel": [3, 5]})`."""
        decisions = tuple(Decision(key, tuple(options)) for key, options in choices.items())
        return cls(name, decisions, builder)

    def size(self) -> int:
        """The number of distinct candidates, exactly."""
        return math.prod(self._count(group) for group in self._groups())

    def choices(self, candidate: Candidate) -> dict[str, Any]:
        """What the candidate chooses, by name. Decisions that don't count are left out."""
        return {
            decision.name: decision.options[number]
            for position, (decision, number) in enumerate(
                zip(self.decisions, candidate, strict=True)
            )
            if self.is_active(candidate, position)
        }

    def candidate(self, choices: Choices) -> Candidate:
        """The normalised candidate for choices by name; what is left out takes its first option.

        Raises `InputError` for an unknown decision or option.
        """
        for name in choices:
            if name not in self._positions:
                raise one_of("decision", name, list(self._positions))
        return self.normalise(
            [d.index(choices[d.name]) if d.name in choices else 0 for d in self.decisions]
        )

    def normalise(self, numbers: Sequence[int]) -> Candidate:
        """Option numbers with what doesn't count set to 0. Raises `InputError` out of range."""
        lengths = self._lengths
        if len(numbers) != len(lengths):
            raise InputError(
                f"space {self.name!r} has {len(lengths)} decisions, not {len(numbers)}"
            )
        for decision, number, length in zip(self.decisions, numbers, lengths, strict=True):
            if not 0 <= number < length:
                raise InputError(f"{decision.name}: option {number} is not within 0..{length - 1}")
        result = [int(number) for number in numbers]
        for position in range(len(result)):
            if not self.is_active(result, position):
                result[position] = 0
        return tuple(result)

    def is_active(self, numbers: Sequence[int], position: int) -> bool:
        """Whether the decision at this position counts, given normalised decisions before it."""
        conditions = self._conditions[position]
        return all(
            numbers[parent] in allowed and self.is_active(numbers, parent)
            for parent, allowed in conditions
        )

    def build(self, candidate: Candidate) -> Any:
        """What the candidate stands for; for networks an `Architecture`."""
        return self.builder(self.choices(candidate))

    def key(self, candidate: Candidate) -> Hashable:
        """A value that is equal for candidates that stand for the same (`identify`)."""
        return candidate if self.identify is None else self.identify(self.build(candidate))

    def sample(self, rng: np.random.Generator) -> Candidate:
        """A candidate with every decision drawn by its weights (uniformly where it has none)."""
        return self.normalise(self.draw(rng))

    def draw(self, rng: np.random.Generator) -> list[int]:
        """What `sample` draws, before it is normalised: an option of every decision, whether it
        counts or not."""
        return [self._draw(position, rng) for position in range(len(self))]

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        """A candidate that differs in one decision that counts, and in what it newly switches on
        (drawn afresh). The candidate itself where the space has nothing to change."""
        movable = self._movable(candidate)
        if not movable:
            return candidate
        position = movable[int(rng.integers(len(movable)))]
        numbers = list(candidate)
        numbers[position] = self._draw(position, rng, besides=candidate[position])
        return self._redraw_new(numbers, [candidate], rng)

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        """Uniform crossover: each decision from either parent. One that counts in only one of
        the parents comes from that one; in neither, it is drawn afresh."""
        from_second = rng.random(len(self)) < 0.5
        numbers = []
        for position in range(len(self)):
            parent = second if from_second[position] else first
            if not self.is_active(parent, position):
                parent = first if parent is second else second
            numbers.append(parent[position])
        return self._redraw_new(numbers, [first, second], rng)

    def neighbours(self, candidate: Candidate) -> list[Candidate]:
        """Every distinct candidate that differs in one decision that counts; what that newly
        switches on stands at its first option."""
        found = dict.fromkeys(
            self.normalise([*candidate[:position], number, *candidate[position + 1 :]])
            for position in self._movable(candidate)
            for number in range(len(self.decisions[position].options))
        )
        found.pop(candidate, None)
        return list(found)

    def encode(self, candidate: Candidate) -> np.ndarray:
        """A float vector for surrogates: one-hot by decision, zeros where it doesn't count.
        Its length is the number of options in the space."""
        vector = np.zeros(sum(self._lengths), dtype=np.float32)
        start = 0
        for position, (number, length) in enumerate(zip(candidate, self._lengths, strict=True)):
            if self.is_active(candidate, position):
                vector[start + number] = 1.0
            start += length
        return vector

    def fingerprint(self) -> str:
        """A hash of the decisions, to tell whether candidates of another run mean the same."""
        described = [
            (
                decision.name,
                [option_label(option) for option in decision.options],
                [(parent, sorted(allowed)) for parent, allowed in conditions],
            )
            for decision, conditions in zip(self.decisions, self._conditions, strict=True)
        ]
        return hashlib.sha256(repr(described).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.decisions)

    def _draw(self, position: int, rng: np.random.Generator, besides: int | None = None) -> int:
        """The number of an option, by the weights of all `besides` one."""
        decision = self.decisions[position]
        left = [number for number in range(self._lengths[position]) if number != besides]
        if decision.weights is None:
            return left[int(rng.integers(len(left)))]
        cumulative = np.cumsum([decision.weights[number] for number in left])
        drawn = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return left[int(drawn)]

    def _movable(self, candidate: Candidate) -> list[int]:
        return [
            position
            for position, decision in enumerate(self.decisions)
            if len(decision.options) > 1 and self.is_active(candidate, position)
        ]

    def _redraw_new(
        self, numbers: list[int], parents: Sequence[Candidate], rng: np.random.Generator
    ) -> Candidate:
        for position in range(len(self)):
            inherited = any(self.is_active(parent, position) for parent in parents)
            if not inherited and self.is_active(numbers, position):
                numbers[position] = self._draw(position, rng)
        return self.normalise(numbers)

    def _groups(self) -> list[list[int]]:
        """Positions that conditions tie together; groups are independent of each other."""
        group_of = list(range(len(self)))
        for position, conditions in enumerate(self._conditions):
            for parent, _ in conditions:
                old, new = group_of[position], group_of[parent]
                group_of = [new if group == old else group for group in group_of]
        return [
            [position for position, group in enumerate(group_of) if group == wanted]
            for wanted in dict.fromkeys(group_of)
        ]

    def _count(self, group: list[int]) -> int:
        lengths = self._lengths
        parents = sorted({p for i in group for p, _ in self._conditions[i]})
        total = 0
        for assignment in itertools.product(*(range(lengths[p]) for p in parents)):
            numbers = [0] * len(self)
            for parent, number in zip(parents, assignment, strict=True):
                numbers[parent] = number
            if any(numbers[p] and not self.is_active(numbers, p) for p in parents):
                continue
            total += math.prod(
                lengths[i] for i in group if i not in parents and self.is_active(numbers, i)
            )
        return total
