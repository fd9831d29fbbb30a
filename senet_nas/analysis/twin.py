"""A network beside its twin without SE: both trained by one recipe, from the same seeds.

The gain of SE changes sign with the recipe in published results, so no gain is claimed from one
training: differences are paired by seed, and come with a confidence interval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from search_space import Blueprint, Retrofit
from search_space.errors import InputError
from search_space.published import without_se
from senet_nas.analysis.ablation import CONFIDENCE, Difference, paired_difference
from senet_nas.data import write_atomically
from senet_nas.search.ablation.pairing import paired_network
from senet_nas.training.group import Group
from senet_nas.training.job import Job, open_job
from senet_nas.training.retrain import RetrainResult

WITH, WITHOUT = "with-se", "without-se"
TWINS_FILE = "twins.json"


@dataclass(frozen=True)
class Twins:
    """top1: percent of the test images, by kind (`with-se`, `without-se`) and seed. params: by
    kind. difference: of the errors, with SE minus without, in percentage points."""

    top1: Mapping[str, Mapping[int, float]]
    params: Mapping[str, int]
    difference: Difference

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON. The gain is in percentage points of top-1, SE's minus its twin's."""
        found = self.difference
        low, high = (None if end is None else -end for end in (found.high, found.low))
        gain = {"mean": -found.mean, "low": low, "high": high, "pairs": found.pairs}
        return {
            "test_top1": {
                kind: {str(seed): value for seed, value in by_seed.items()}
                for kind, by_seed in self.top1.items()
            },
            "params": dict(self.params),
            "gain_of_se": gain | {"confidence": CONFIDENCE, "verdict": found.verdict},
        }

    def to_rows(self) -> dict[str, str]:
        """What a table shows: accuracies in the order of seeds, parameters, the gain."""
        rows = {
            f"{kind}, test top-1": " ".join(f"{value:.2f}" for value in by_seed.values())
            for kind, by_seed in self.top1.items()
        }
        rows |= {f"{kind}, parameters": f"{count:,}" for kind, count in self.params.items()}
        return rows | {"gain of SE": str(self).partition(": ")[2], "verdict": self.verdict}

    @property
    def verdict(self) -> str:
        """What may be said of SE's error against its twin's."""
        return self.difference.verdict

    def __str__(self) -> str:
        data = self.to_data()["gain_of_se"]
        if data["low"] is None:
            return f"gain of SE: {data['mean']:+.2f} points of top-1, by one pair: no spread known"
        return (
            f"gain of SE: {data['mean']:+.2f} points of top-1, {CONFIDENCE:.0%} interval "
            f"{data['low']:+.2f} to {data['high']:+.2f}, {data['pairs']} pairs"
        )


def train_twins(
    job: Job,
    seeds: Sequence[int],
    train: Callable[[str, Job], RetrainResult],
    workers: int = 1,
) -> Twins:
    """Train a job's network and its twin from each seed, pair by pair; below the job's folder.

    train: is given a label and a job of one training. The same call goes on where an earlier one
    stopped. Raises `InputError` for a network without SE and for images without a test split,
    before anything is trained, and what `train` raises.
    """
    jobs = [
        (kind, replace(twin, seed=seed, out=job.out / kind / f"seed-{seed}"))
        for seed in seeds
        for kind, twin in _pair(job).items()
    ]
    for _, one in jobs[:2]:
        opened = open_job(one, torch.device("cpu"), Group(0, workers))
        if not opened.has_test:
            raise InputError(
                f"{job.images.data}: holds no test images, and twins are compared on them"
            )
    top1: dict[str, dict[int, float]] = {WITH: {}, WITHOUT: {}}
    params: dict[str, int] = {}
    for kind, one in jobs:
        result = train(f"{kind}, seed {one.seed}", one)
        assert result.top1 is not None
        top1[kind][one.seed], params[kind] = result.top1, result.params
    errors = {
        kind: {seed: 100 - value for seed, value in found.items()} for kind, found in top1.items()
    }
    difference = paired_difference(errors[WITH], errors[WITHOUT])
    assert difference is not None
    twins = Twins(top1, params, difference)
    _write(job.out / TWINS_FILE, twins)
    return twins


def twin_of(architecture: Blueprint) -> Blueprint:
    """The same network without SE. Raises `InputError` for one that has none."""
    if isinstance(architecture, Retrofit):
        twin: Blueprint = replace(architecture, gates=())
    else:
        twin = without_se(architecture)
    if twin == architecture:
        raise InputError("the network has no SE: without SE it is itself")
    return twin


def _pair(job: Job) -> dict[str, Job]:
    """Both jobs, with the same weights outside of SE for one seed."""
    paired = replace(job, make_network=paired_network)
    return {WITH: paired, WITHOUT: replace(paired, architecture=twin_of(job.architecture))}


def _write(path: Path, twins: Twins) -> None:
    text = json.dumps(twins.to_data(), indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
