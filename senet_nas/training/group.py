"""The processes that train one network together; one process alone needs no torch.distributed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class Group:
    """rank: of this process, from 0. size: how many there are; where there are several, torch's
    default process group has been started. All call the same methods in the same order."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wrapped(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network with gradients that are averaged over the group in its backward pass, after
        which all have the first's weights and buffers."""
        if self.size == 1:
            return network
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(
            network,
            device_ids=devices,
            broadcast_buffers=False,  # averaged instead, after each step
            gradient_as_bucket_view=True,
        )

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over the group; the tensor itself in a group of one."""
        if self.size == 1:
            return tensor
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """The tensor of each process, by rank; they are of one shape."""
        if self.size == 1:
            return [tensor]
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return parts

    def first_says(self, flag: bool, device: torch.device) -> bool:
        """What the first process passed."""
        if self.size == 1:
            return flag
        said = torch.tensor(int(flag), device=device)
        dist.broadcast(said, 0)
        return bool(said)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace floating-point tensors by their means over the group."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE = Group()
