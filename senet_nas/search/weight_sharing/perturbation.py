"""Which options matter, by leaving each out of the trained mixture: perturbation-based selection
(Wang et al. 2021, "Rethinking Architecture Selection in Differentiable NAS", arXiv 2108.04392,
algorithm 1; without the fine-tuning between decisions)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor

from senet_nas.data.batches import Batch
from senet_nas.data.memory import MemoryBatches
from senet_nas.search.weight_sharing.relaxed import Relaxed

LIKELIEST = 3  # options of a decision that are left out in turn
BATCHES = 4
_SHARPNESS = 50.0  # of accuracies, shares from 0 to 1, as probabilities
_TIE = 1e-5  # less than one image: of options without which as much is lost the likelier one


@torch.no_grad()
def perturbed(
    relaxed: Relaxed, probabilities: Sequence[Tensor], batches: MemoryBatches, seed: int
) -> list[tuple[float, ...]]:
    """New probabilities of the options: the larger, the more accuracy is lost where an option is
    left out. Decisions are settled one after another in a random order; each is then one-hot."""
    shown = list(islice(batches.epoch(seed, 0), BATCHES))
    mixture = [p.clone() for p in probabilities]
    found: list[tuple[float, ...]] = [tuple(p.tolist()) for p in mixture]
    order = torch.randperm(len(mixture), generator=torch.Generator().manual_seed(seed)).tolist()
    for position in order:
        p = mixture[position]
        options = p.topk(min(LIKELIEST, len(p))).indices.tolist()
        if len(options) < 2:
            continue
        scores = torch.full_like(p, -torch.inf)
        for option in options:
            without = p.clone()
            without[option] = 0
            without = without / without.sum().clamp_min(1e-12)
            changed = [*mixture[:position], without, *mixture[position + 1 :]]
            scores[option] = _TIE * p[option] - _accuracy(relaxed, changed, shown)
        mixture[position] = torch.zeros_like(p)
        mixture[position][int(scores.argmax())] = 1.0
        found[position] = tuple((_SHARPNESS * scores).softmax(0).tolist())
    return found


def _accuracy(relaxed: Relaxed, mixture: Sequence[Tensor], shown: Sequence[Batch]) -> float:
    """The share of right answers, with the batches' own statistics."""
    right = count = 0
    for batch in shown:
        logits = relaxed.logits(batch.images, mixture)
        right += int((logits.argmax(1) == batch.labels).sum())
        count += len(batch)
    return right / count
