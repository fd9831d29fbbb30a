"""Images read and decoded by worker processes, a chunk at a time, in a given order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from senet_nas.data.order import Seeds
from senet_nas.data.records import Records
from senet_nas.data.views import View

CHUNK = 64  # images that a worker has at a time: memory shared with it is bounded by it
_CHUNKS_AHEAD = 3  # of each worker
_MOST_WORKERS = 16

Numbers = npt.NDArray[np.int64]


class Request(NamedTuple):
    """Images to read: their numbers int64 (N,) and seeds uint64 (N,)."""

    numbers: Numbers
    seeds: Seeds


class Loaded(NamedTuple):
    """pixels: uint8 (K, S, S, 3). kept: positions in the request of those that could be read, int64
    (K,). reasons: of the others, by position."""

    pixels: Tensor
    kept: Tensor
    reasons: dict[int, str]


class Loader:
    """Reads requests in worker processes, which live as long as it does; with 0 `workers`, here.

    Memory is pinned for copies to a GPU where `device` is one.
    """

    def __init__(self, records: Records, view: View, workers: int, device: torch.device):
        self._images = _Images(records, view)
        self._plan = _Plan()
        self._loader: DataLoader[Loaded] | None = None
        if workers:
            self._loader = DataLoader(
                self._images,
                batch_size=None,
                sampler=self._plan,
                num_workers=workers,
                prefetch_factor=_CHUNKS_AHEAD,
                persistent_workers=True,
                pin_memory=device.type == "cuda",
                multiprocessing_context="fork",
                generator=torch.Generator(),  # else it draws from the global one
                collate_fn=_as_it_is,
            )

    def load(self, requests: Sequence[Request]) -> Iterator[Loaded]:
        """What was asked for, in order."""
        if self._loader is None:
            for request in requests:
                yield self._images[request]
        else:
            self._plan.requests = requests
            yield from self._loader


def default_workers(device: torch.device, world: int) -> int:
    """Processes for one of `world` ranks, which are taken to share this machine as far as it has
    GPUs for them: all cores to feed a GPU, a quarter where the CPU itself trains."""
    cores = len(os.sched_getaffinity(0))
    here = min(world, max(1, torch.cuda.device_count()))
    share = cores // here if device.type == "cuda" else cores // 4 // world
    return max(1, min(_MOST_WORKERS, share))


@dataclass(frozen=True, eq=False)
class _Images(Dataset[Loaded]):
    records: Records
    view: View

    def __getitem__(self, request: Request) -> Loaded:
        contents = [self.records.read(number) for number in request.numbers.tolist()]
        seen = self.view(contents, request.seeds)
        return Loaded(seen.pixels, seen.kept, seen.reasons)


class _Plan(Sampler[Request]):
    """The requests of the epoch that is on."""

    def __init__(self) -> None:
        self.requests: Sequence[Request] = ()

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)


def _as_it_is(loaded: Any) -> Any:
    return loaded
