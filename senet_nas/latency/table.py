"""The file that holds the latency of each part, and predicts networks' by their sum."""

from __future__ import annotations

import hashlib
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from search_space import Blueprint, InputError, SearchSpace
from senet_nas.data.files import write_atomically
from senet_nas.latency.chains import chains_of, groups_of
from senet_nas.latency.measuring import (
    OF_TIMING,
    Conditions,
    Timed,
    Timing,
    conditions_here,
    measured,
)
from senet_nas.latency.parts import Part, parts_of, timed

FORMAT = 2
COPIES = 3  # of each part that are measured


@dataclass(slots=True)
class LatencyTable:
    """parts: milliseconds of each by its key. seconds: what measuring took so far."""

    conditions: Conditions
    parts: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def missing(self, networks: Iterable[Blueprint]) -> list[Part]:
        """The distinct parts of these networks that the table lacks, in the order met."""
        return self.missing_of(networks, 0)[0]

    def missing_of(
        self,
        networks: Iterable[Blueprint],
        count: int,
        advance: Callable[[int, int], None] = lambda done, of: None,
    ) -> tuple[list[Part], float]:
        """The same, and the share of the last tenth of `count` networks that had a part which none
        before them had: how likely a network is to have parts that none of these has."""
        found: dict[str, Part] = {}
        last = max(1, count // 10)
        novel = 0
        for number, network in enumerate(networks):
            parts = parts_of(network, self.conditions.image_size, self.conditions.classes)
            new = {p.key: p for p in parts if p.key not in self.parts and p.key not in found}
            found |= new
            novel += bool(new) and number >= count - last
            advance(number + 1, count)
        return list(found.values()), novel / last

    def fingerprint(self) -> str:
        """16 hex digits that differ where a figure or a condition does."""
        data = json.dumps([asdict(self.conditions), self.parts], sort_keys=True)
        return hashlib.sha256(data.encode()).hexdigest()[:16]

    def lacking(self, parts: Iterable[Part]) -> list[Part]:
        """Those of these parts that the table lacks."""
        return [part for part in parts if part.key not in self.parts]

    def predict(self, network: Blueprint) -> float:
        """Milliseconds of an inference of `batch_size` images: the sum over the network's parts.

        Raises `InputError` where the table lacks one of them.
        """
        parts = parts_of(network, self.conditions.image_size, self.conditions.classes)
        return sum(self.of(part) for part in parts)

    def of(self, part: Part) -> float:
        """Milliseconds of a part. Raises `InputError` where the table lacks it."""
        try:
            return self.parts[part.key]
        except KeyError:
            raise InputError(
                f"the latency table of {self.conditions.space!r} lacks {part.key}; "
                "`senet-nas latency-table` with more --networks, or --all, extends it"
            ) from None

    def measure(
        self,
        parts: Sequence[Part],
        advance: Callable[[int, int], None] = lambda done, of: None,
        save: Callable[[], None] = lambda: None,
    ) -> None:
        """Measure parts, and add them. advance: told how many are done, of how many. save: called
        after each group of them."""
        done = 0
        for group in groups_of(parts):
            began = time.perf_counter()
            self.parts |= measured_parts(group, self.conditions)
            self.seconds += time.perf_counter() - began
            save()
            done += len(group)
            advance(done, len(parts))

    def write(self, path: Path) -> None:
        """As JSON; whole, or not at all. Raises `InputError` where it can't be written."""
        data = {"format": FORMAT, **asdict(self)}
        try:
            write_atomically(
                path, lambda temporary: temporary.write_text(json.dumps(data, indent=1))
            )
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None

    @classmethod
    def read(cls, path: Path) -> LatencyTable:
        """The table of a file. Raises `InputError` where there is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["format"] == FORMAT:
                parts = {str(key): float(ms) for key, ms in data["parts"].items()}
                conditions = Conditions(**data["conditions"])
                conditions.check()
                return cls(conditions, parts, float(data["seconds"]))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path}: not a latency table") from None
        raise InputError(f"{path}: a latency table of another version; measure it anew")

    def check_extends(self, wanted: Conditions, path: Path) -> None:
        """Raise `InputError` where figures under `wanted` don't go into this table."""
        for name, value in asdict(self.conditions).items():
            other = getattr(wanted, name)
            if value != other:
                raise InputError(
                    f"{path} was measured with {name} {value}, not {other}; "
                    "give the same, or another --out"
                )


def measured_parts(parts: Sequence[Part], timing: Timing) -> dict[str, float]:
    """Milliseconds of each part by its key: the mean over a few modules of it, each in another
    chain, since where in memory a module and its maps lie makes some 5% of difference."""
    return parts_and_others(parts, [], timing)[0]


def parts_and_others(
    parts: Sequence[Part], others: Sequence[Sequence[Timed]], timing: Timing
) -> tuple[dict[str, float], list[list[float]]]:
    """The same, and what is measured in the same rounds as the parts."""
    chains = [chain for copy in range(COPIES) for chain in chains_of(parts, copy)]
    of_parts = [[timed(part) for part in chain] for chain in chains]
    times = measured([*of_parts, *others], timing)
    found: dict[str, list[float]] = {}
    pairs = zip(itertools.chain(*chains), itertools.chain(*times[: len(chains)]), strict=True)
    for part, milliseconds in pairs:
        found.setdefault(part.key, []).append(milliseconds)
    means = {key: statistics.mean(each) for key, each in found.items()}
    return means, times[len(chains) :]


def open_or_new(path: Path, space: SearchSpace, given: Mapping[str, Any]) -> LatencyTable:
    """The table of a file, or a new one of this machine. given: conditions by name; others are the
    file's own, or the usual ones.

    Raises `InputError` where the file's figures hold for something else.
    """
    usual: dict[str, Any] = {"image_size": space.image_size or 32, "classes": 10}
    if not path.exists():
        return LatencyTable(conditions_here(space, **{**usual, **given}))
    table = LatencyTable.read(path)
    own = {name: getattr(table.conditions, name) for name in (*usual, *OF_TIMING)}
    table.check_extends(conditions_here(space, **{**own, **given}), path)
    return table


def drawn(space: SearchSpace, networks: int, seed: int = 0) -> Iterator[Blueprint]:
    """Random networks of a space: of more networks the first are the same."""
    rng = np.random.default_rng(seed)
    for _ in range(networks):
        yield space.build(space.sample(rng))


def expected_seconds(parts: Sequence[Part], conditions: Conditions, sampled: int = 12) -> float:
    """What measuring these parts would take, by some of them."""
    if not parts:
        return 0.0
    some = parts[:: max(1, len(parts) // sampled)][:sampled]
    measured_parts(some[:1], replace(conditions, repeats=1))  # kernels are built on first use
    began = time.perf_counter()
    measured_parts(some, conditions)
    return (time.perf_counter() - began) / len(some) * len(parts)
