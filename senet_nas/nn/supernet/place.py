"""One place of the supernet: the shared weights of all cells and SE blocks that may stand there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from search_space import Block, InputError
from search_space.coverage import Place, Variant
from senet_nas.nn.network import build_block
from senet_nas.nn.placement import Unit
from senet_nas.nn.supernet.gates import SharedGates
from senet_nas.nn.supernet.weights import Bound, SharedWeights


class SharedPlace(nn.Module):
    """Shared weights of a place, by cell; `chosen` gives one block of them.

    eps: of the batch norms.
    """

    def __init__(self, place: Place, eps: float):
        super().__init__()
        self.place = place
        self.eps = eps
        units = {variant: meta_unit(variant, eps) for variant in place.variants}
        families: dict[str, list[nn.Module]] = {}
        for variant, unit in units.items():
            families.setdefault(family(variant.block), []).append(unit)
        self.cells = nn.ModuleDict({key: SharedWeights(list_) for key, list_ in families.items()})
        # In a fixed order, by which they draw initial weights: not a set's.
        self.gates = SharedGates(
            (se, width, variant.in_channels)
            for variant, unit in units.items()
            for se in place.se_options
            if se is not None and (width := unit.gated_width(se.placement)) is not None
        )
        self._bound: dict[Variant, Bound] = {}

    def bound(self, variant: Variant) -> Bound:
        """A cell without SE, over the shared weights."""
        if variant not in self._bound:
            if variant not in self.place.variants:
                raise InputError(
                    f"{self.place.path}: {variant.block} that reads {variant.in_channels} "
                    "channels is no block of the supernet's space"
                )
            self._bound[variant] = Bound(meta_unit(variant, self.eps), self.weights(variant))
        return self._bound[variant]

    def weights(self, variant: Variant) -> SharedWeights:
        """Those that a variant shares with others of its family."""
        found = self.cells[family(variant.block)]
        assert isinstance(found, SharedWeights)
        return found

    def unit(self, variant: Variant) -> Unit:
        """A cell without SE on the meta device; `bound` gives it its weights."""
        unit = self.bound(variant).module
        assert isinstance(unit, Unit)
        return unit

    def chosen(self, block: Block, in_channels: int) -> Step:
        """One block, SE included. Raises `InputError` where it isn't one of the place's."""
        cell = self.bound(Variant(replace(block, se=None), in_channels))
        unit = cell.module
        assert isinstance(unit, Unit)
        width = None if block.se is None else unit.gated_width(block.se.placement)
        if block.se is None or width is None:
            return Step(cell, None)
        if block.se not in self.place.se_options:
            raise InputError(f"{self.place.path}: SE {block.se.label()} is not in the space")
        return Step(cell, self.gates.bound(block.se, width, in_channels))


class Step:
    """A block of a subnet: a cell, and the SE in it."""

    def __init__(self, cell: Bound, gate: Bound | None) -> None:
        self.bound = [cell] if gate is None else [cell, gate]
        self._cell, self._gate = cell, gate

    def run(self, x: Tensor, training: bool) -> Tensor:
        """The block's output for x: (N, C, H, W)."""
        unit = self.use(training)
        y: Tensor = unit(x)
        return y

    def use(self, training: bool) -> Unit:
        """The block as a module with its weights."""
        unit = self._cell.use(training)
        assert isinstance(unit, Unit)
        unit.stand(None if self._gate is None else self._gate.use(training).gate)  # type: ignore[arg-type]
        return unit


def family(block: Block) -> str:
    """Blocks with the same name share weights: of one cell, with the same settings of its own."""
    extra = "_".join(f"{name}_{value}" for name, value in block.extra)
    return f"{block.cell}_{extra}".replace(".", "_") if extra else block.cell


def meta_unit(variant: Variant, eps: float) -> Unit:
    """The cell without SE, on the meta device."""
    with torch.device("meta"):
        unit = build_block(variant.block, variant.in_channels)
    if not isinstance(unit, Unit):
        raise InputError(f"cell {variant.block.cell!r} is no Unit; a supernet can't hold it")
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
        elif type(module) is nn.Conv2d and module.groups > 1 < max(module.stride):
            module.forward = partial(_exactly_on_cpus, module)  # type: ignore[method-assign]
    return unit


def _exactly_on_cpus(module: nn.Conv2d, x: Tensor) -> Tensor:
    """Out of `autocast` there: see `senet_nas.training.precision.slow_layers_in_float32`, which
    doesn't see modules that only stand in for others."""
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return nn.Conv2d.forward(module, x)
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d.forward(module, x.float()).to(x.dtype)
