"""A picture of fronts: a score against one cost or two, all trials behind them, and null models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search_space import InputError
from senet_nas.analysis.axes import axis_label, axis_value
from senet_nas.analysis.fronts import RunFront
from senet_nas.analysis.null_models import KIND_LABELS
from senet_nas.data import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png", ".pdf")
COLOURS = ("#0a6ebd", "#c2410c", "#15803d", "#7e22ce")
KIND_MARKS = {"none": "x", "everywhere": "+", "late": "2"}
BLACK = "#111111"
GREY = "#777777"


def draw_fronts(fronts: Sequence[RunFront], path: Path) -> None:
    """Draw fronts over two objectives into an SVG, PNG or PDF file; over three, the first against
    each of the others, side by side.

    Raises `InputError` for another ending, for objectives that aren't the same two or three in
    every run, and where matplotlib is missing.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: a picture's name must end in {', '.join(FORMATS)}")
    objectives = fronts[0].front.objectives
    for each in fronts:
        if each.front.objectives != objectives or len(objectives) not in (2, 3):
            raise InputError(
                f"{each.view.name}: a picture needs the same two objectives, or three, in every run"
            )
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("a picture needs matplotlib: pip install 'senet-nas[report]'") from None
    up, *across = objectives
    figure = Figure(figsize=(7.2 * len(across), 4.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(across), squeeze=False)[0], across, strict=True):
        for each, colour in zip(fronts, COLOURS * len(fronts), strict=False):
            _draw_run(axes, each, (name, up), colour)
            _draw_nulls(axes, each, (name, up))
        axes.set_xlabel(axis_label(name))
        axes.set_ylabel(f"validation {axis_label(up)}" if up == "accuracy" else axis_label(up))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="lower right")
    with mpl.rc_context({"svg.hashsalt": "senet-nas", "svg.fonttype": "none"}):
        metadata = {"Date": None} if path.suffix == ".svg" else None
        try:
            write_atomically(
                path,
                lambda file: figure.savefig(
                    file, format=path.suffix[1:], metadata=metadata, dpi=160
                ),
            )
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None


def _draw_run(axes: Axes, each: RunFront, names: tuple[str, str], colour: str) -> None:
    done = [record.scores for record in each.view.comparable if record.scores is not None]
    axes.plot(
        *_positions(done, names),
        "o",
        color=colour,
        alpha=0.22,
        markersize=4,
        markeredgewidth=0,
        label=f"{Path(each.view.name).resolve().name}: {len(done)} trials",
    )
    points = each.front.points
    # A front over three axes is no line over two.
    line = "o-" if len(each.front.objectives) == 2 else "o"
    x, y = _positions([point.scores for point in points], names)
    axes.plot(x, y, line, color=colour, markersize=6, label=f"front: {len(points)} points")
    for point, here, there in zip(points, x, y, strict=True):
        if point.is_knee:
            axes.plot([here], [there], "o", mfc="none", color=colour, markersize=13, label="knee")


def _draw_nulls(axes: Axes, each: RunFront, names: tuple[str, str]) -> None:
    for kind, label in KIND_LABELS.items():
        trained = {
            twin.architecture: twin.all_scores
            for twin in each.nulls.twins
            if twin.kind == kind and twin.trained is not None
        }
        x, y = _positions(trained.values(), names)
        if x:
            axes.plot(x, y, KIND_MARKS[kind], color=BLACK, markersize=7, label=label)
    if each.random is not None and each.random.front.points:
        x, y = _positions([point.scores for point in each.random.front.points], names)
        style = "s--" if len(each.front.objectives) == 2 else "s"
        label = "random search, equal budget"
        axes.plot(x, y, style, color=GREY, markersize=4, linewidth=1, label=label)


def _positions(
    scores: Iterable[Mapping[str, float]], names: tuple[str, str]
) -> tuple[list[float], list[float]]:
    known = [each for each in scores if all(name in each for name in names)]
    x, y = ([axis_value(name, each[name]) for each in known] for name in names)
    return x, y
