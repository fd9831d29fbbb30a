"""The problems of the benchmark of strategies: one table of trained networks, and SE spaces whose
accuracy is synthetic.

Table: NAS-Bench-Macro (Su et al. 2021, arXiv 2103.11922), 6,561 networks trained on CIFAR-10.

Synthetic: the spaces and the costs are the project's own (`senet_nas.cost`); the accuracy is made
up, nothing was trained. A network's quality is the sum of

- its capacity: 0.5 log2(MACs) + 0.25 log2(params), over those of the space's median network;
- for each block the effect of its SE, which grows with its depth d in the network (0 to 1) from a
  loss to a gain, (0.45 d - 0.08), times factors of placement, squeeze and excitation, of the
  ratio (best in the middle) and of its expansion (more for wide ones);
- for each block the effects of its other options, normal, standard deviation 0.06;
- for each pair of consecutive blocks an interaction of their kernels, expansions and SE's
  presence, normal, standard deviation 0.06.

accuracy = 95 - 10 exp(-quality / 2) + noise of standard deviation 0.15 (fixed by candidate).
"""

from __future__ import annotations

import json
import lzma
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from search_space import SE, Architecture, Block, Candidate, SearchSpace, load
from search_space.problems import Problem
from search_space.twins import width_over_input
from senet_nas.cost import cost

OBJECTIVES = {"accuracy": "max", "macs": "min"}
EFFECT = 0.06
NOISE = 0.15


def nas_bench_macro(path: Path) -> Problem:
    """Three options at each of 8 layers; accuracy is the mean of three trainings."""
    table = json.loads(lzma.decompress(path.read_bytes()))
    scores = {
        tuple(map(int, key)): {
            "accuracy": float(np.mean(row["acc"])),
            "macs": float(row["macs"]),
            "params": float(row["params"]),
        }
        for key, row in table.items()
    }
    layers = {f"layer{number}": ("identity", "k3_e3", "k5_e6") for number in range(1, 9)}
    space = SearchSpace.from_choices(layers, name="nas_bench_macro")
    worst = {
        "accuracy": min(row["accuracy"] for row in scores.values()),
        "macs": max(row["macs"] for row in scores.values()),
    }
    return Problem(space, OBJECTIVES, lambda candidate: dict(scores[candidate]), worst)


def synthetic(space_name: str, seed: int = 0, samples: int = 2000) -> Problem:
    """Accuracy as above against MACs, on one of the project's spaces of SE networks.

    The reference is the worst accuracy and the most MACs among so many random networks."""
    space = load(space_name)
    size = space.image_size or 32

    @lru_cache(1 << 18)
    def costs(candidate: Candidate) -> tuple[Architecture, float, float]:
        architecture = space.build(candidate)
        return architecture, *_costs(architecture, size, 10 if size == 32 else 1000)

    rng = np.random.default_rng(0)
    drawn = [costs(space.sample(rng))[1:] for _ in range(samples)]
    usual_macs, usual_params = np.median(drawn, axis=0)
    effect = _effects(seed)

    def score(candidate: Candidate) -> dict[str, float]:
        architecture, macs, params = costs(candidate)
        capacity = 0.5 * math.log2(macs / usual_macs) + 0.25 * math.log2(params / usual_params)
        quality = capacity + _quality(architecture, effect)
        noise = np.random.default_rng([seed, *candidate]).normal(0, NOISE)
        accuracy = 95 - 10 * math.exp(-quality / 2) + float(noise)
        return {"accuracy": accuracy, "macs": macs, "params": params}

    rng = np.random.default_rng(1)
    seen = [score(space.sample(rng)) for _ in range(samples)]
    worst = {
        "accuracy": min(row["accuracy"] for row in seen),
        "macs": max(row["macs"] for row in seen),
    }
    return Problem(space, OBJECTIVES, score, worst)


def _costs(architecture: Architecture, image_size: int, classes: int) -> tuple[float, float]:
    """MACs and parameters. The two layers of SE with average pooling are counted here: tracing
    each of the thousands of blocks that differ in them alone would take minutes."""
    stages = tuple(
        replace(stage, blocks=tuple(replace(block, se=None) for block in stage.blocks))
        for stage in architecture.stages
    )
    plain = cost(replace(architecture, stages=stages), image_size, classes)
    macs, params, width = plain.macs, plain.params, 0
    for _, block in architecture.blocks():
        if block.se is not None:
            gated = (
                width_over_input(block, width)
                if block.se.placement == "conv3x3"
                else (width if block.se.placement == "pre" else block.channels)
            )
            hidden = block.se.hidden_channels(gated, width)
            macs += 2 * gated * hidden
            params += 2 * gated * hidden + (gated + hidden) * block.se.bias
        width = block.channels
    return float(macs), float(params)


def _effects(seed: int) -> Callable[..., float]:
    """A normal number for anything that has a repr, the same each time."""

    @lru_cache(None)
    def effect(*what: Any) -> float:
        key = zlib.crc32(repr(what).encode())
        return float(np.random.default_rng([seed, key]).normal(0, EFFECT))

    return effect


def _quality(architecture: Architecture, effect: Callable[..., float]) -> float:
    placed = [
        (stage, index, block)
        for stage, blocks in enumerate(architecture.stages)
        for index, block in enumerate(blocks.blocks)
    ]
    total, before = 0.0, None
    for place, (stage, index, block) in enumerate(placed):
        depth = place / max(1, len(placed) - 1)
        total += _se_effect(block, depth, effect)
        for field in ("kernel", "expansion", "channels", "groups", "cell"):
            total += effect(stage, index, field, getattr(block, field))
        own = (stage, index, block.kernel, block.expansion, block.se is not None)
        total += effect(before, own) if before else 0.0
        before = own
    return total


def _se_effect(block: Block, depth: float, effect: Callable[..., float]) -> float:
    se: SE | None = block.se
    if se is None:
        return 0.0
    factor = 1.0 - 0.1 * abs(math.log2(se.r) - 3)
    factor *= 1.25 if block.expansion >= 4 else 1.0
    for operator in (se.placement, se.squeeze, se.excitation):
        factor *= 1 + 2 * effect("operator", operator)
    return (0.45 * depth - 0.08) * factor
