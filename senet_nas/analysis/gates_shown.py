"""Gates as a table and as pictures: the paper's figures 6 and 7 (arXiv 1709.01507)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.table import Table

from search_space import InputError
from senet_nas.analysis.console import plain_console
from senet_nas.analysis.gates import BlockGates, NetworkGates
from senet_nas.data import write_atomically

CLASSES_DRAWN = 5
COLUMNS = 3


def print_gates(name: str, found: NetworkGates) -> None:
    """A line for each block, on stdout."""
    table = Table(title=f"{name}: gates over {found.images} {found.split} images")
    table.add_column("block", no_wrap=True)
    table.add_column("SE")
    for column in ("mean", "channel", "class", "image", "ends"):
        table.add_column(column, justify="right")
    with_losses = any(block.lost_removed is not None for block in found.blocks)
    if with_losses:
        table.add_column("without", justify="right")
        table.add_column("frozen", justify="right")
    for block in found.blocks:
        table.add_row(*_cells(block, with_losses))
    console = plain_console()
    console.print(table)
    console.print(
        f"top-1 {found.top1:.2f}%, and how many points of it are lost without a block, or with its "
        "gates frozen at their means; by channel, class, image: shares of the gates' variance"
    )


def _cells(block: BlockGates, with_losses: bool) -> list[str]:
    s = block.statistics
    cells = [
        block.path.removesuffix(".se"),
        block.se,
        f"{sum(s.mean) / len(s.mean):.3f}",
        *(f"{100 * share:.0f}%" for share in (s.by_channel, s.by_class, s.by_image)),
        f"{100 * (s.low + s.high):.0f}%",
    ]
    if with_losses:
        cells += [
            "" if lost is None else f"{lost:+.2f}"
            for lost in (block.lost_removed, block.lost_frozen)
        ]
    return cells


def draw_gates(found: NetworkGates, folder: Path) -> list[Path]:
    """`gates_by_class.svg`: the mean gate of each channel for a few classes, and their mean, block
    by block; `gates_within_class.svg`: its deviation over the images of each of these.

    Raises `InputError` where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("pictures need matplotlib: pip install 'senet-nas[report]'") from None
    kinds = {
        "gates_by_class": ("mean gate by class", "class_mean"),
        "gates_within_class": ("deviation within a class", "class_deviation"),
    }
    paths = []
    rows = -(-len(found.blocks) // COLUMNS)
    for name, (title, field) in kinds.items():
        figure = Figure(figsize=(4 * COLUMNS, 2.6 * rows + 0.6), layout="constrained")
        figure.suptitle(title)
        for number, block in enumerate(found.blocks):
            axes = figure.add_subplot(rows, COLUMNS, number + 1)
            table = getattr(block.statistics, field)
            for row, of in list(zip(table, block.statistics.classes, strict=True))[:CLASSES_DRAWN]:
                axes.plot(row, linewidth=0.7, label=found.classes[of])
            if field == "class_mean":
                axes.plot(block.statistics.mean, linewidth=1.2, color="black", label="all")
            axes.set_title(f"{block.path} ({block.se})", fontsize=8)
            axes.tick_params(labelsize=7)
            if number == 0:
                axes.legend(fontsize=6)
        path = folder / f"{name}.svg"
        write_atomically(path, partial(figure.savefig, format="svg"))
        paths.append(path)
    return paths
