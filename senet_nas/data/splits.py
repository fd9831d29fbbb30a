"""Stratified, seeded parts of the training images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from search_space import checks
from search_space.errors import InputError

Counts = npt.NDArray[np.int64]


def validation_split(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the images to train on and of those to validate on, each sorted.

    labels: int64 (N,). fraction: the share to validate on, between 0 and 1, in each class as
    nearly as whole images allow; at least one image in all. Each class keeps at least one image
    to train on, so a class of one image is never validated on; where every class has only one,
    the split is drawn from all images alike, and the classes on the two sides differ.
    Raises `InputError` for a fraction or seed out of range and for fewer than two images.
    """
    checks.seed(seed)
    if not 0 < fraction < 1:
        raise InputError(f"validation fraction must lie between 0 and 1, not {fraction}")
    if len(labels) < 2:
        raise InputError(f"{len(labels)} images cannot be split for validation: 2 are needed")
    _, codes = np.unique(labels.cpu().numpy(), return_inverse=True)
    sizes: Counts = np.bincount(codes)
    if sizes.max() == 1:
        codes, sizes = np.zeros_like(codes), np.array([len(codes)])
    taken = _apportioned(sizes, fraction, least=np.zeros_like(sizes), most=sizes - 1)
    chosen = _drawn(codes, taken, seed)
    return _indices(~chosen), _indices(chosen)


def training_subset(labels: Tensor, fraction: float, seed: int) -> Tensor:
    """Sorted indices of a share of the images, at least one of each class.

    labels: int64 (N,). fraction: above 0, up to 1. Raises `InputError` for a fraction or seed
    out of range.
    """
    checks.seed(seed)
    if not 0 < fraction <= 1:
        raise InputError(f"training fraction must be above 0 and at most 1, not {fraction}")
    if not len(labels):
        return torch.empty(0, dtype=torch.int64)
    _, codes = np.unique(labels.cpu().numpy(), return_inverse=True)
    sizes: Counts = np.bincount(codes)
    taken = _apportioned(sizes, fraction, least=np.ones_like(sizes), most=sizes)
    return _indices(_drawn(codes, taken, seed))


def _apportioned(sizes: Counts, fraction: float, least: Counts, most: Counts) -> Counts:
    """How many to take of each class: shares rounded down, then the largest remainders up, until
    the sum is the rounded share of all (at least 1), as far as `least` and `most` allow."""
    shares = sizes * fraction
    taken: Counts = np.clip(np.floor(shares + 1e-9).astype(np.int64), least, most)
    missing = max(1, round(float(shares.sum()))) - int(taken.sum())
    by_remainder = np.argsort(taken - shares, kind="stable")
    for index in by_remainder[taken[by_remainder] < most[by_remainder]][: max(0, missing)]:
        taken[index] += 1
    return taken


def _drawn(codes: Counts, taken: Counts, seed: int) -> npt.NDArray[np.bool_]:
    """A mask (N,) of `taken[c]` images of each class c, by chance."""
    shuffled = np.random.default_rng(seed).permutation(len(codes))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    mask = np.zeros(len(codes), dtype=bool)
    mask[by_class] = rank < np.repeat(taken, sizes)
    return mask


def _indices(mask: npt.NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.flatnonzero(mask))
