"""Taking out the SE blocks whose gates hardly depend on the image (arXiv 1709.01507, section 7.2:
those of the last stage)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from search_space import Architecture, InputError, Stage
from search_space.errors import RunError
from senet_nas.analysis.gates import (
    BlockGates,
    NetworkGates,
    ShownImages,
    constant_gates,
    gates_of,
    shown_images,
    top1_of,
)
from senet_nas.data import Reading
from senet_nas.data.load import Split
from senet_nas.latency import measure_latencies
from senet_nas.nn.folding import fold_into
from senet_nas.nn.placement import Unit
from senet_nas.training.checkpoint import Checkpoint
from senet_nas.training.device import as_device

TOLERANCE = 1e-4  # of outputs, relative to their largest, between frozen and folded
_PROBES = 4
_TURNS = 5


@dataclass(frozen=True)
class Folded:
    """folded, kept: paths of blocks, the latter with the reason. top1_before, top1_after: percent,
    of the images. latency: of one image on this CPU, ms, the least of several turns each."""

    folded: tuple[str, ...]
    kept: Mapping[str, str]
    images: int
    split: str
    top1_before: float
    top1_after: float
    params_before: int
    params_after: int
    latency_before: float
    latency_after: float

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def fold(
    checkpoint: Checkpoint,
    data: str | None,
    max_loss: float,
    split: Split = "train",
    *,
    device: torch.device | str | None = None,
    images: int | None = None,
    reading: Reading | None = None,
    on_pass: Callable[[int, int], object] | None = None,
) -> tuple[Checkpoint, Folded]:
    """The network with as many SE blocks frozen at their mean gates, and folded into the layers
    beside them, as cost at most `max_loss` points of top-1 together, on so many images of a split.

    Blocks are tried from the one that loses least on its own. Raises `InputError` for a network
    whose blocks aren't the project's, a loss that is no number, and what `gates_of` raises.
    """
    if not max_loss >= 0:
        raise InputError(f"the loss that is allowed must be at least 0 points, not {max_loss}")
    architecture = checkpoint.architecture
    if not isinstance(architecture, Architecture):
        raise InputError("fold takes networks of the project's own blocks, not retrofitted ones")
    device = as_device(device)
    told = _Passes(on_pass)
    shown = gates_of(
        checkpoint,
        data,
        split,
        device=device,
        images=images,
        losses=("frozen",),
        reading=reading,
        on_pass=told.of_gates,
    )
    batches = shown_images(checkpoint, data, split, device, images, reading)
    gates, kept, after = _chosen(checkpoint, shown, batches, max_loss, device, told)
    folded = _taken_out(checkpoint, architecture, gates)
    params = [sum(t.numel() for t in c.network().parameters()) for c in (checkpoint, folded)]
    latency = _latencies(checkpoint, folded)
    return folded, Folded(
        folded=tuple(map(_block_of, gates)),
        kept=kept,
        images=shown.images,
        split=split,
        top1_before=shown.top1,
        top1_after=after,
        params_before=params[0],
        params_after=params[1],
        latency_before=latency[0],
        latency_after=latency[1],
    )


def _latencies(before: Checkpoint, after: Checkpoint) -> list[float]:
    networks = before.architecture, after.architecture
    size, classes = before.image_size, len(before.classes)
    turns = [measure_latencies(networks, size, classes) for _ in range(_TURNS)]
    return [min(of_one) for of_one in zip(*turns, strict=True)]


class _Passes:
    """Counts what `gates_of` takes and a pass more for each block as one whole."""

    def __init__(self, on_pass: Callable[[int, int], object] | None) -> None:
        self._on_pass, self._done, self._of = on_pass, 0, 0

    def of_gates(self, done: int, of: int) -> None:
        """gates_of: one pass, and one for each block."""
        self._done, self._of = done - 1, 2 * of - 1
        self.one_more()

    def one_more(self) -> None:
        """Another pass is over."""
        self._done += 1
        if self._on_pass is not None:
            self._on_pass(self._done, self._of)


def _chosen(
    checkpoint: Checkpoint,
    shown: NetworkGates,
    batches: ShownImages,
    max_loss: float,
    device: torch.device,
    told: _Passes,
) -> tuple[dict[str, list[float]], dict[str, str], float]:
    """Mean gates by path of the blocks that are taken out, why others aren't, and top-1 then."""
    network = checkpoint.network().to(device)
    chosen: dict[str, list[float]] = {}
    kept: dict[str, str] = {}
    top1 = shown.top1
    for block in sorted(shown.blocks, key=_lost):
        told.one_more()
        if (reason := _refusal(network, block)) is not None:
            kept[_block_of(block.path)] = reason
            continue
        tried = {**chosen, block.path: block.statistics.mean}
        reached = top1_of(network, batches, device, tried)
        if shown.top1 - reached <= max_loss + 1e-9:
            chosen, top1 = tried, reached
        else:
            lost = shown.top1 - reached
            kept[_block_of(block.path)] = f"{lost:.2f} points would be lost with it"
    return chosen, kept, top1


def _lost(block: BlockGates) -> float:
    return block.lost_frozen if block.lost_frozen is not None else 0.0


def _refusal(network: nn.Module, block: BlockGates) -> str | None:
    """Why a block's gates can't be folded, found out on a copy."""
    unit = deepcopy(network.get_submodule(_block_of(block.path)))
    if not isinstance(unit, Unit):
        return "its cell is no Unit"
    if unit.se is not None and unit.se.value.squeeze == "none":
        return "its gates differ from place to place"
    try:
        fold_into(unit, torch.tensor(block.statistics.mean))
    except InputError as error:
        return str(error)
    return None


def _block_of(path: str) -> str:
    return path.removesuffix(".se")


def _taken_out(
    checkpoint: Checkpoint, architecture: Architecture, gates: Mapping[str, list[float]]
) -> Checkpoint:
    """The checkpoint without these blocks' SE. Raises `RunError` where it doesn't compute what the
    network with constant gates does."""
    network = checkpoint.network()
    size = checkpoint.image_size
    probes = torch.randn(_PROBES, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), constant_gates(network, gates):
        wanted = network(probes)
    for path, values in gates.items():
        unit = network.get_submodule(_block_of(path))
        assert isinstance(unit, Unit)
        fold_into(unit, torch.tensor(values))
    # Names of blocks in a network leave out `blocks`; in an architecture they don't.
    paths = {_block_of(path) for path in gates}
    without = _without_se(architecture, paths)
    about = {**checkpoint.metadata, "folded": sorted(paths)}
    folded = replace(checkpoint, architecture=without, weights=network.state_dict(), metadata=about)
    with torch.no_grad():
        found = folded.network()(probes)
    error = float((found - wanted).abs().max() / wanted.abs().max())
    if not error <= TOLERANCE:
        raise RunError(f"the folded network's outputs differ by {error:.1e} of the largest")
    return folded


def _without_se(architecture: Architecture, paths: Iterable[str]) -> Architecture:
    gone = set(paths)

    def stage(of: Stage, name: str) -> Stage:
        blocks = tuple(
            replace(block, se=None) if f"{name}.{number}" in gone else block
            for number, block in enumerate(of.blocks)
        )
        return replace(of, blocks=blocks)

    head = tuple(
        replace(block, se=None) if f"head.{number}" in gone else block
        for number, block in enumerate(architecture.head.blocks)
    )
    return replace(
        architecture,
        stem=stage(architecture.stem, "stem"),
        stages=tuple(stage(s, f"stages.{n}") for n, s in enumerate(architecture.stages)),
        head=replace(architecture.head, blocks=head),
    )
