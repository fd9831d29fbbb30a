"""A run as it stands while it goes on, read from its folder alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search_space.errors import InputError
from senet_nas.analysis.front import Front, front_of
from senet_nas.cost import IN_MILLIONS
from senet_nas.data import is_locked
from senet_nas.data.files import LOCK_FILE
from senet_nas.search import RunFile, RunFolder, TrialRecord
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.training.progress import clock

RECENT = 20  # trials whose pace says how long the rest takes
SECONDS = 1.0  # between two looks, and at least
PATIENCE = 5  # times what a look takes, so that a run of many trials isn't slowed by being watched
_MOST_POINTS = 12


@dataclass(frozen=True)
class Look:
    """trials, failed: finished so far. rate: trials an hour, of the last ones. workers: trials at
    a time, where the run states them. busy: how many of these were at work, in the mean over the
    last trials: seconds of training over seconds of the run. share: of the budget, from 0 to 1.
    seconds_left: by the last trials' pace; None where nothing says. running: whether a process is
    at it. idle_seconds: since the last trial was written, or the run was started. supernet: the
    epochs that are over, and all, while one is trained."""

    trials: int
    failed: int
    elapsed_seconds: float
    rate: float | None
    workers: int | None
    busy: float | None
    share: float | None
    seconds_left: float | None
    running: bool
    idle_seconds: float | None
    supernet: tuple[int, int] | None
    front: Front

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        data = {name: value for name, value in asdict(self).items() if name != "front"}
        return {**data, "front": self.front.to_data()}


def look(folder: RunFolder) -> Look:
    """The run as it stands. Raises `InputError` where its folder can't be read."""
    running = is_locked(folder.path)  # first: what ends meanwhile is looked at once more
    records, objectives = folder.trials(), folder.objectives()
    idle = _idle_seconds(folder)
    elapsed = max((r.elapsed_seconds for r in records), default=0.0)
    if running and idle is not None:
        elapsed += idle
    run = _definition(folder)
    rate, busy = _pace(records)
    share, left = (None, None) if run is None else _budget(run, records, elapsed, rate)
    return Look(
        trials=len({r.number for r in records}),
        failed=sum(r.scores is None for r in records),
        elapsed_seconds=elapsed,
        rate=rate,
        workers=None if run is None else run.resources.workers or None,
        busy=busy,
        share=share,
        seconds_left=left,
        running=running,
        idle_seconds=idle,
        supernet=None if run is None or run.supernet is None else _supernet(folder, run.supernet),
        front=front_of(records, objectives),
    )


def _definition(folder: RunFolder) -> RunFile | None:
    """None where its space has changed since; what it has found can be seen all the same."""
    try:
        return folder.run_file()
    except InputError:
        return None


def _supernet(folder: RunFolder, section: SupernetSection) -> tuple[int, int] | None:
    """The epochs that are over of a supernet that is being trained, and all."""
    from senet_nas.search.weight_sharing.one_shot import SUPERNET_FILE
    from senet_nas.search.weight_sharing.training import FOLDER
    from senet_nas.training.run_state import METRICS_FILE

    path = folder.path / FOLDER
    if not path.is_dir() or (path / SUPERNET_FILE).exists():
        return None
    metrics = path / METRICS_FILE
    lines = metrics.read_text("utf-8").splitlines() if metrics.exists() else []
    done = 0
    for line in lines:
        with suppress(ValueError):  # the last one may be half written
            entry = json.loads(line)
            done = max(done, entry["epoch"] if "step" not in entry else 0)
    return done, section.recipe_in_full().epochs


def _idle_seconds(folder: RunFolder) -> float | None:
    """Since the later of the last trial and the start of the process that holds the run."""
    files = [folder.trials_file, folder.path / LOCK_FILE]
    times = [file.stat().st_mtime for file in files if file.exists()]
    return max(0.0, time.time() - max(times)) if times else None


def _pace(records: list[TrialRecord]) -> tuple[float | None, float | None]:
    last = records[-RECENT:]
    if len(last) < 2:
        return None, None
    seconds = last[-1].elapsed_seconds - last[0].elapsed_seconds
    if seconds <= 0:
        return None, None
    busy = sum(record.train_seconds for record in last[1:]) / seconds
    return 3600 * (len(last) - 1) / seconds, busy


def _budget(
    run: RunFile, records: list[TrialRecord], elapsed: float, rate: float | None
) -> tuple[float | None, float | None]:
    """The share of the budget that is spent, and the seconds that are left."""
    shares, left = [], []
    most = run.budget.trials
    if run.supernet is not None and run.supernet.is_differentiable:
        searches = len(run.supernet.tasks())
        most = min(most or searches, searches)
    if most is not None:
        trials = len({record.number for record in records})
        shares.append(trials / most)
        if rate:
            left.append(3600 * max(0, most - trials) / rate)
    if run.budget.seconds is not None:
        shares.append(elapsed / run.budget.seconds)
        left.append(max(0.0, run.budget.seconds - elapsed))
    if run.budget.epochs is not None:
        spent = sum(record.epochs for record in records)
        shares.append(spent / run.budget.epochs)
        if spent and elapsed:
            left.append(max(0.0, run.budget.epochs - spent) * elapsed / spent)
    return (min(1.0, max(shares)) if shares else None), min(left, default=None)


def shown(name: str, seen: Look) -> RenderableType:
    """A look as it is drawn in a terminal."""
    state = "running" if seen.running else "no process is at it"
    parts = [f"{seen.trials} trials", f"{clock(seen.elapsed_seconds)} gone"]
    if seen.failed:
        parts.append(f"{seen.failed} failed")
    if seen.rate is not None:
        parts.append(f"{seen.rate:.0f} trials an hour")
    if seen.busy is not None:
        of = "" if seen.workers is None else f" of {seen.workers}"
        parts.append(f"{seen.busy:.1f}{of} workers busy")
    if seen.running and seen.seconds_left is not None:
        parts.append(f"{clock(seen.seconds_left)} left")
    if seen.running and seen.idle_seconds is not None and seen.trials:
        parts.append(f"last trial {clock(seen.idle_seconds)} ago")
    rows: list[RenderableType] = [Text(f"{name}: {state}", style="bold"), Text(" · ".join(parts))]
    if seen.supernet is not None:
        done, total = seen.supernet
        rows.append(Text(f"the supernet is trained: {done} of {total} epochs are over"))
    if seen.share is not None:
        bar = ProgressBar(total=1.0, completed=seen.share, width=60)
        rows.append(Padding(bar, 0))  # a bar alone doesn't end its line
    rows.append(_front(seen.front))
    return Group(*rows)


def _front(front: Front) -> RenderableType:
    if not front.points:
        return Text("no trial has succeeded yet")
    table = Table(title=f"front of {len(front.points)}, hypervolume {front.hypervolume:.4g}")
    table.add_column("trial", justify="right")
    for name in front.objectives:
        unit = " (M)" if name in IN_MILLIONS else ""
        table.add_column(f"{name}{unit}", justify="right")
    step = -(-len(front.points) // _MOST_POINTS)
    for point in front.points[::step]:
        cells = [
            f"{point.scores[name] / 1e6:.3f}"
            if name in IN_MILLIONS
            else f"{point.scores[name]:.2f}"
            for name in front.objectives
        ]
        table.add_row(str(point.number), *cells, style="bold" if point.is_knee else "")
    return table


def watch(folder: RunFolder, name: str, sleep: Callable[[float], object] = time.sleep) -> Look:
    """Draw a run in the terminal until no process is at it any more, or until Ctrl-C, which the
    run doesn't notice; the last look."""
    seen = look(folder)
    live = Live(shown(name, seen), console=Console(), auto_refresh=False)
    with live, suppress(KeyboardInterrupt):
        while seen.running:
            began = time.perf_counter()
            seen = look(folder)
            live.update(shown(name, seen), refresh=True)
            sleep(max(SECONDS, PATIENCE * (time.perf_counter() - began)))
    return seen
