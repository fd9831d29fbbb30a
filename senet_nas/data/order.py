"""In which order images are seen, and which of them by whom: a function of (seed, epoch) alone.

Each epoch draws from generators of its own, made of (seed, epoch), so that training resumed
anywhere sees what an uninterrupted run would have seen, on any number of ranks.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Seeds = npt.NDArray[np.uint64]


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A CPU generator for an epoch (counted from 0), independent of other epochs' and seeds'."""
    return torch.Generator().manual_seed(epoch_seed(seed, epoch))


def epoch_seed(seed: int, epoch: int) -> int:
    """64 bits mixed from (seed, epoch)."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])


def image_seeds(seed: int, epoch: int, numbers: npt.NDArray[np.int64]) -> Seeds:
    """64 bits for each image of an epoch, mixed from (seed, epoch, number of the image)."""
    base = np.full(len(numbers), epoch_seed(seed, epoch), np.uint64)
    return _split_mix(base, numbers.astype(np.uint64))


def uniforms(seeds: Seeds, count: int) -> npt.NDArray[np.float64]:
    """`count` numbers from 0 to below 1 for each seed: float64 (N, count)."""
    mixed = _split_mix(seeds[:, None], np.arange(count, dtype=np.uint64))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _split_mix(seeds: Seeds, steps: Seeds) -> Seeds:
    """The outputs of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) at steps of its sequence."""
    with np.errstate(over="ignore"):
        mixed = seeds + (steps + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Seeds = mixed ^ (mixed >> np.uint64(31))
    return result


def epoch_order(count: int, repeats: int, generator: torch.Generator) -> Tensor:
    """The images of an epoch in order, int64 (count,): each once.

    repeats: above 1, repeated augmentation (arXiv 1902.05509): an epoch still shows `count`
    images, but only every `repeats`-th one, `repeats` times in a row, each time augmented anew.
    """
    order = torch.randperm(count, generator=generator)
    return order if repeats == 1 else order.repeat_interleave(repeats)[:count]


def batch_slices(count: int, batch_size: int) -> list[slice]:
    """`count` images in as few batches as `batch_size` allows, of sizes that differ by one at
    most: each image is used in each epoch, and no batch is too small for a batch norm."""
    batches = math.ceil(count / batch_size)
    bounds = [count * index // batches for index in range(batches + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def rank_share(part: slice, rank: int, world: int) -> slice:
    """The images of a batch that one of `world` ranks takes; shares differ by one at most."""
    count = part.stop - part.start
    return slice(part.start + count * rank // world, part.start + count * (rank + 1) // world)
