"""What SE does in a trained network: its gates by channel, class and depth, and what the accuracy
loses without each (arXiv 1709.01507, section 7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search_space.errors import InputError
from senet_nas.analysis.gate_statistics import GateStatistics, GateSums, rounded
from senet_nas.data import Batch, Reading, write_atomically
from senet_nas.data.load import Split
from senet_nas.nn.squeeze_excitation import SqueezeExcitation
from senet_nas.training.assess import Relabelled, checkpoint_batches
from senet_nas.training.checkpoint import Checkpoint
from senet_nas.training.device import as_device
from senet_nas.training.evaluate import evaluate_on

GATES_FILE = "gates.json"
LOSSES = ("removed", "frozen")

Gates = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BlockGates:
    """path: of the SE block's module. se: in short. depth: from 0 to 1, by its place among the SE
    blocks. lost_removed, lost_frozen: points of top-1 that the network loses where this block
    alone has gates of one, or the mean gate of each channel; None where it wasn't asked for."""

    path: str
    se: str
    channels: int
    depth: float
    params: int
    statistics: GateStatistics
    lost_removed: float | None
    lost_frozen: float | None


@dataclass(frozen=True)
class NetworkGates:
    """top1: of these images, percent. classes: names by number."""

    images: int
    split: str
    top1: float
    classes: tuple[str, ...]
    blocks: tuple[BlockGates, ...]

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON: of each block all fields, `statistics` among them."""
        data = asdict(self)
        for block in data["blocks"]:
            block["statistics"] = {k: rounded(v) for k, v in block["statistics"].items()}
        return data

    def save(self, folder: Path) -> Path:
        """Write `gates.json`."""
        path = folder / GATES_FILE
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_data()) + "\n"
        write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
        return path

    @classmethod
    def load(cls, path: Path) -> NetworkGates:
        """Raises `InputError` where `path` isn't such a file."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            blocks = [
                BlockGates(**block | {"statistics": GateStatistics(**block["statistics"])})
                for block in data["blocks"]
            ]
            return cls(**data | {"classes": tuple(data["classes"]), "blocks": tuple(blocks)})
        except (OSError, ValueError, TypeError, KeyError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"{path}: can't be read as what `gates` writes: {said}") from None


def gates_of(
    checkpoint: Checkpoint,
    data: str | None,
    split: Split = "train",
    *,
    device: torch.device | str | None = None,
    images: int | None = None,
    losses: Collection[str] = LOSSES,
    reading: Reading | None = None,
    on_pass: Callable[[int, int], object] | None = None,
) -> NetworkGates:
    """Show a network so many images of a split (all), and see what each of its SE blocks does.

    losses: which of `LOSSES` are wanted, each of which takes another pass over the images for each
    block. on_pass: is told how many passes are over, and of how many. Raises `InputError` for a
    network without SE, and what `checkpoint_batches` raises.
    """
    device = as_device(device)
    network = checkpoint.network().to(device)
    blocks = se_blocks(network)
    if not blocks:
        raise InputError("the network has no SE block, so no gates")
    batches = shown_images(checkpoint, data, split, device, images, reading)
    passes = 1 + len(losses) * len(blocks)
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        if on_pass is not None:
            on_pass(done, passes)

    sums, top1, count = _watched(network, blocks, batches, len(checkpoint.classes), device)
    told()
    found = []
    for number, (path, se) in enumerate(blocks.items()):
        statistics = sums[path].statistics()
        lost: dict[str, float] = {}
        for kind, gates in (("removed", None), ("frozen", statistics.mean)):
            if kind in losses:
                lost[kind] = top1 - top1_of(network, batches, device, {path: gates})
                told()
        found.append(
            BlockGates(
                path=path,
                se=se.value.label(),
                channels=se.expand.out_features,
                depth=number / max(1, len(blocks) - 1),
                params=sum(p.numel() for p in se.parameters()),
                statistics=statistics,
                lost_removed=lost.get("removed"),
                lost_frozen=lost.get("frozen"),
            )
        )
    return NetworkGates(count, split, top1, checkpoint.classes, tuple(found))


def se_blocks(network: nn.Module) -> dict[str, SqueezeExcitation]:
    """The SE blocks by the paths of their modules, in the order in which they stand."""
    return {n: m for n, m in network.named_modules() if isinstance(m, SqueezeExcitation)}


@contextmanager
def constant_gates(
    network: nn.Module, gates: Mapping[str, Sequence[float] | None]
) -> Iterator[None]:
    """Inside, the SE blocks at these paths have gates that don't depend on the image: those of each
    channel that are given, or ones."""
    changed = [network.get_submodule(path) for path in gates]
    for module, values in zip(changed, gates.values(), strict=True):
        assert isinstance(module, SqueezeExcitation)
        table = torch.ones(module.expand.out_features) if values is None else torch.tensor(values)
        table = table.to(module.expand.weight)[None, :, None, None]
        module.__dict__["gates"] = _constant(table)
    try:
        yield
    finally:
        for module in changed:
            del module.__dict__["gates"]


def _constant(table: Tensor) -> Gates:
    return lambda x: table.to(x.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class ShownImages:
    """About so many of the images, evenly spread, since they stand in the order of classes."""

    batches: Relabelled
    images: int | None

    def __iter__(self) -> Iterator[Batch]:
        step = 1
        if self.images is not None:
            step = max(1, self.batches.batches.count // self.images)
        seen = 0
        for batch in self.batches:
            chosen = slice(-seen % step, None, step)
            seen += len(batch)
            part = replace(batch, images=batch.images[chosen], labels=batch.labels[chosen])
            if len(part):
                yield part


def shown_images(
    checkpoint: Checkpoint,
    data: str | None,
    split: Split,
    device: torch.device,
    images: int | None = None,
    reading: Reading | None = None,
) -> ShownImages:
    """About so many images of a split (all), as the checkpoint's network takes them."""
    return ShownImages(checkpoint_batches(checkpoint, data, split, device, reading), images)


def top1_of(
    network: nn.Module,
    batches: ShownImages,
    device: torch.device,
    gates: Mapping[str, Sequence[float] | None],
) -> float:
    """Top-1 in percent with constant gates at these paths."""
    with constant_gates(network, gates):
        return evaluate_on(network, batches, device=device).top1


def _watched(
    network: nn.Module,
    blocks: Mapping[str, SqueezeExcitation],
    batches: ShownImages,
    classes: int,
    device: torch.device,
) -> tuple[dict[str, GateSums], float, int]:
    """Sums of all gates, top-1 in percent, and the number of images."""
    sums = {path: GateSums(se, classes) for path, se in blocks.items()}
    shown: dict[str, Tensor] = {}

    def keep(path: str, genuine: Gates) -> Gates:
        def gates(x: Tensor) -> Tensor:
            shown[path] = genuine(x)
            return shown[path]

        return gates

    class Recorded:
        """Batches that are added to the sums once the network has seen them."""

        def __iter__(self) -> Iterator[Batch]:
            for batch in batches:
                shown.clear()
                yield batch
                for path, gates in shown.items():
                    sums[path].add(gates, batch.labels)

    for path, se in blocks.items():
        se.__dict__["gates"] = keep(path, se.gates)
    try:
        accuracy = evaluate_on(network, Recorded(), device=device)
    finally:
        for se in blocks.values():
            del se.__dict__["gates"]
    return sums, accuracy.top1, accuracy.count
