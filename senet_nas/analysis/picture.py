"""A picture of fronts: accuracy (or any score) against a cost, all trials behind them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from search_space import InputError
from senet_nas.analysis.front import Front, front_of
from senet_nas.cost import IN_MILLIONS
from senet_nas.data import write_atomically
from senet_nas.search import RunFolder, TrialRecord
from senet_nas.search.run_folder import at_highest_rung

FORMATS = (".svg", ".png", ".pdf")
UNITS = {"accuracy": "%", "top5": "%", "latency_ms": "ms", **dict.fromkeys(IN_MILLIONS, "M")}
COLOURS = ("#0a6ebd", "#c2410c", "#15803d", "#7e22ce")


def draw_fronts(folders: Mapping[str, RunFolder], path: Path) -> None:
    """Draw the fronts of runs with two objectives into an SVG, PNG or PDF file.

    Raises `InputError` for another ending, for objectives that aren't the same two in every run,
    and where matplotlib is missing.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: a picture's name must end in {', '.join(FORMATS)}")
    runs = [(name, folder.objectives()) for name, folder in folders.items()]
    objectives = runs[0][1]
    for name, others in runs:
        if others != objectives or len(others) != 2:
            raise InputError(f"{name}: a picture needs the same two objectives in every run")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("a picture needs matplotlib: pip install 'senet-nas[report]'") from None
    up, across = objectives
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for (name, folder), colour in zip(folders.items(), COLOURS * len(folders), strict=False):
        trials = at_highest_rung(folder.trials())
        front = front_of(trials, objectives)
        _draw_run(axes, name, trials, front, (across, up), colour)
    axes.set_xlabel(_label(across))
    axes.set_ylabel(f"validation {_label(up)}" if up == "accuracy" else _label(up))
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


def _draw_run(
    axes: object,
    name: str,
    trials: list[TrialRecord],
    front: Front,
    scores: tuple[str, str],
    colour: str,
) -> None:
    across, up = scores
    plot = axes.plot  # type: ignore[attr-defined]
    done = [record.scores for record in trials if record.scores is not None]
    plot(
        [_scaled(across, s[across]) for s in done],
        [_scaled(up, s[up]) for s in done],
        "o",
        color=colour,
        alpha=0.22,
        markersize=4,
        markeredgewidth=0,
        label=f"{Path(name).resolve().name}: {len(done)} trials",
    )
    x = [_scaled(across, point.scores[across]) for point in front.points]
    y = [_scaled(up, point.scores[up]) for point in front.points]
    plot(x, y, "o-", color=colour, markersize=6, label=f"front: {len(front.points)} points")
    for point, here, there in zip(front.points, x, y, strict=True):
        if point.is_knee:
            plot([here], [there], "o", mfc="none", color=colour, markersize=13, label="knee")


def _scaled(name: str, value: float) -> float:
    return value / 1e6 if name in IN_MILLIONS else value


def _label(name: str) -> str:
    shown = {"macs": "MACs", "params": "parameters"}.get(name, name)
    return f"{shown} ({UNITS[name]})" if name in UNITS else shown
