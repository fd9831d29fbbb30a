"""The table of an ablation: parameters, MACs, errors with their spread, paired differences to the
base, and beside them what the paper printed (arXiv 1709.01507, tables 10 to 16)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from search_space import Architecture
from senet_nas.cost import cost
from senet_nas.search.ablation import (
    AblationEstimate,
    AblationFile,
    PaperFigures,
    Results,
    estimate,
)

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Counts:
    """params: learnable parameters; params_with_statistics: and batch norm's running means and
    variances, as the paper's figures have them. macs: of convolutions and linear layers;
    macs_with_scaling: and one operation for each element that SE scales, as the paper counts."""

    params: int
    params_with_statistics: int
    macs: int
    macs_with_scaling: int


@dataclass(frozen=True)
class Difference:
    """A variant's error minus the base's, in percentage points, over seeds that both have.

    low, high: the confidence interval of its mean, by Student's t over pairs; None for one pair.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def verdict(self) -> str:
        """What may be said of it."""
        if self.low is None or self.high is None:
            return "one pair: no interval"
        if self.low <= 0 <= self.high:
            return "not told apart"
        return "lower error" if self.mean < 0 else "higher error"


@dataclass(frozen=True)
class Row:
    """One variant. trained: the counts of the network that is trained, full_size: of the
    paper's. errors: top-1 error in percent by seed. diverged: how many trainings did."""

    variant: str
    trained: Counts
    full_size: Counts
    errors: Mapping[int, float]
    diverged: int
    difference: Difference | None
    paper: PaperFigures

    @property
    def mean(self) -> float | None:
        """Of the errors; None where there are none."""
        return statistics.fmean(self.errors.values()) if self.errors else None

    @property
    def std(self) -> float | None:
        """The errors' standard deviation (n - 1); None for fewer than two."""
        return statistics.stdev(self.errors.values()) if len(self.errors) > 1 else None

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        difference = None
        if self.difference is not None:
            difference = asdict(self.difference) | {"verdict": self.difference.verdict}
        return {
            "variant": self.variant,
            "trained": asdict(self.trained),
            "full_size": asdict(self.full_size),
            "top1_error": {
                "mean": self.mean,
                "std": self.std,
                "by_seed": {str(seed): error for seed, error in self.errors.items()},
                "diverged": self.diverged,
            },
            "difference_to_base": difference,
            "paper": self.paper.model_dump(),
        }


@dataclass(frozen=True)
class AblationTable:
    """A whole table. image_size, classes: of the images that are trained on. estimate: of a dry
    run alone."""

    ablation: AblationFile
    image_size: int
    classes: int
    rows: tuple[Row, ...]
    estimate: AblationEstimate | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {
            "title": self.ablation.title,
            "network": self.ablation.network,
            "full_size_network": self.ablation.full_size.network,
            "image_size": self.image_size,
            "classes": self.classes,
            "base": self.ablation.base,
            "seeds": self.ablation.seeds,
            "confidence": CONFIDENCE,
            "variants": [row.to_data() for row in self.rows],
        }
        if self.estimate is not None:
            data["estimate"] = self.estimate.to_data()
        return data


def tabulate(results: Results) -> AblationTable:
    """The table of what is finished. Trainings under way are left out."""
    ablation = results.ablation
    size, classes = ablation.image_size or 32, 10
    errors: dict[str, dict[int, float]] = {name: {} for name in ablation.variants}
    diverged = dict.fromkeys(ablation.variants, 0)
    for outcome in results.outcomes:
        if outcome.result is None:
            diverged[outcome.variant] += 1
        elif outcome.result.top1 is not None:
            errors[outcome.variant][outcome.seed] = 100 - outcome.result.top1
            size = outcome.result.image_size
            classes = len(outcome.result.identity["data"]["classes"])
    return _table(ablation, size, classes, errors, diverged)


def plan(ablation: AblationFile, device: str | None = None) -> AblationTable:
    """The table before anything is trained, with an estimate of the time it takes.

    Raises `InputError` as the ablation itself would. Writes nothing.
    """
    expected = estimate(ablation, device)
    nothing: dict[str, dict[int, float]] = {name: {} for name in ablation.variants}
    diverged = dict.fromkeys(ablation.variants, 0)
    return _table(ablation, expected.image_size, expected.classes, nothing, diverged, expected)


def _table(
    ablation: AblationFile,
    image_size: int,
    classes: int,
    errors: Mapping[str, Mapping[int, float]],
    diverged: Mapping[str, int],
    expected: AblationEstimate | None = None,
) -> AblationTable:
    full, base = ablation.full_size, ablation.base
    rows = tuple(
        Row(
            name,
            counts(ablation.trained(name), image_size, classes),
            counts(ablation.in_full(name), full.image_size, full.classes),
            errors[name],
            diverged[name],
            None if name == base else paired_difference(errors[name], errors[base]),
            variant.paper,
        )
        for name, variant in ablation.variants.items()
    )
    return AblationTable(ablation, image_size, classes, rows, expected)


def paired_difference(errors: Mapping[int, float], base: Mapping[int, float]) -> Difference | None:
    """Of two variants' errors by seed; None where no seed has both."""
    differences = [error - base[seed] for seed, error in errors.items() if seed in base]
    if not differences:
        return None
    mean, half = statistics.fmean(differences), _half_width(differences)
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return Difference(mean, low, high, len(differences))


def _half_width(values: Sequence[float]) -> float | None:
    """Half of the confidence interval of the mean, by Student's t; None for one value."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


@cache
def counts(architecture: Architecture, image_size: int, classes: int) -> Counts:
    """A network's counts for one image. Raises `InputError` as `cost` does."""
    import torch
    from torch import nn

    from senet_nas.nn import build_network
    from senet_nas.nn.squeeze_excitation import SqueezeExcitation

    counted = cost(architecture, image_size, classes)
    scaled: list[int] = []

    def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        scaled.append(inputs[0].numel())

    with torch.device("meta"), torch.no_grad():
        network = build_network(architecture, classes, image_size).eval()
        for module in network.modules():
            if isinstance(module, SqueezeExcitation):
                module.register_forward_pre_hook(note)
        network(torch.empty(1, 3, image_size, image_size))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = sum(2 * norm.num_features for norm in norms if norm.track_running_stats)
    return Counts(counted.params, counted.params + kept, counted.macs, counted.macs + sum(scaled))
