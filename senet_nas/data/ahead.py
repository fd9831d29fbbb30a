"""Batches made ready on a GPU while it trains on the one before."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from senet_nas.data.batches import Batch


def ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches; on a GPU each is copied and normalised beside the step before it."""
    if device.type != "cuda":
        yield from batches
        return
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        coming = next(batches, None)
    while coming is not None:
        batch, now = coming, torch.cuda.current_stream(device)
        now.wait_stream(beside)
        for tensor in (batch.images, batch.labels):
            tensor.record_stream(now)  # its memory is in use until this stream has passed
        with torch.cuda.stream(beside):
            coming = next(batches, None)
        yield batch
