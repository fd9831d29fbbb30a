"""An ablation's table as it is printed: what was trained, and the paper's networks."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from senet_nas.analysis.ablation import AblationTable, Row
from senet_nas.analysis.console import plain_console

CAPTION = (
    "+stats: with batch norm's running statistics; +scale: with one operation for each element "
    "that SE scales"
)


def print_ablation(table: AblationTable, console: Console | None = None) -> None:
    """Three tables and what they say; for a dry run the time it would take."""
    console = console or plain_console()
    console.print(trained_table(table))
    console.print(trained_counts_table(table))
    console.print(full_size_table(table))
    for line in remarks(table):
        console.print(line, highlight=False)


def trained_table(table: AblationTable) -> Table:
    """Each variant's network as it is trained, its error, and the difference to the base."""
    ablation = table.ablation
    side = table.image_size
    shown = Table(
        title=f"{ablation.title}: {ablation.network}, {side}x{side}, {table.classes} classes"
    )
    shown.add_column("variant")
    for name in ("params", "MACs (M)", "top-1 error %", "n", f"to {ablation.base} [95%]"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    for row in table.rows:
        difference = row.difference
        shown.add_row(
            row.variant,
            f"{row.trained.params:,}",
            f"{row.trained.macs / 1e6:.3f}",
            _error(row),
            str(len(row.errors)) + (f" ({row.diverged} diverged)" if row.diverged else ""),
            "base" if row.variant == ablation.base else _difference(row),
            "" if difference is None else difference.verdict,
        )
    return shown


def trained_counts_table(table: AblationTable) -> Table:
    """The counts of each variant's network as it is trained, by both definitions."""
    shown = Table(title=f"{table.ablation.network}, counted both ways", caption=CAPTION)
    shown.add_column("variant")
    for name in ("params", "+stats", "MACs (M)", "+scale (M)"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table.rows:
        counted = row.trained
        shown.add_row(
            row.variant,
            f"{counted.params:,}",
            f"{counted.params_with_statistics:,}",
            f"{counted.macs / 1e6:.3f}",
            f"{counted.macs_with_scaling / 1e6:.3f}",
        )
    return shown


def full_size_table(table: AblationTable) -> Table:
    """The counts of each variant's full-size network beside the paper's figures."""
    full = table.ablation.full_size
    side = full.image_size
    shown = Table(
        title=f"{full.network}, {side}x{side}, {full.classes} classes, beside the paper's figures",
        caption=f"{CAPTION}. error: top-1 in percent",
    )
    shown.add_column("variant")
    for name in ("params", "+stats M", "paper", "MACs G", "+scale", "paper", "error"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table.rows:
        counted, paper = row.full_size, row.paper
        shown.add_row(
            row.variant,
            f"{counted.params:,}",
            f"{counted.params_with_statistics / 1e6:.2f}",
            _printed(paper.params_m, 1),
            f"{counted.macs / 1e9:.3f}",
            f"{counted.macs_with_scaling / 1e9:.3f}",
            _printed(paper.gflops, 2),
            _printed(paper.top1_error, 2),
        )
    return shown


def remarks(table: AblationTable) -> list[str]:
    """What the errors do and don't show, in a line each."""
    if table.estimate is not None:
        expected = table.estimate
        return [
            f"{expected.trainings} trainings of {expected.epochs} epochs on "
            f"{expected.training_images:,} images: about {expected.hours:.2g} hours at "
            f"{expected.images_per_second:.0f} images/s, measured on the base"
        ]
    compared = [row for row in table.rows if row.difference is not None]
    if not compared:
        return ["no seed has both the base and another variant yet"]
    alike = [row.variant for row in compared if _verdict(row) == "not told apart"]
    single = [row.variant for row in compared if _verdict(row).startswith("one pair")]
    base, lines = table.ablation.base, []
    if alike:
        lines.append(
            f"not told apart from {base} by these seeds, as the interval spans zero: "
            + ", ".join(alike)
        )
    if single:
        lines.append(f"one pair only, so without an interval: {', '.join(single)}")
    lines += [
        f"{row.variant}: {_verdict(row)} than {base}, on these images with this recipe"
        for row in compared
        if row.variant not in alike + single
    ]
    return [*lines, "the paper's errors: ResNet-50 on ImageNet, single trainings without a spread"]


def _verdict(row: Row) -> str:
    assert row.difference is not None
    return row.difference.verdict


def _error(row: Row) -> str:
    if row.mean is None:
        return "-"
    return f"{row.mean:.2f}" + ("" if row.std is None else f" ± {row.std:.2f}")


def _difference(row: Row) -> str:
    difference = row.difference
    if difference is None:
        return "-"
    text = f"{difference.mean:+.2f}"
    if difference.low is None or difference.high is None:
        return text
    return f"{text} [{difference.low:+.2f}, {difference.high:+.2f}]"


def _printed(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
