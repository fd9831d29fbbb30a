"""Whether zero-cost proxies can be trusted in a run: their rank correlation with the accuracy of
what it has trained so far, beside that of parameters and MACs, which anyone knows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from search_space import InputError
from senet_nas.analysis.console import plain_console
from senet_nas.analysis.rank_correlation import LEAST, RankCorrelation, rank_correlations
from senet_nas.cost import cost
from senet_nas.proxies import proxy_names, proxy_score, training_batch
from senet_nas.proxies.core.scoring import check_proxy
from senet_nas.search import RunFile, RunFolder, TrialRecord
from senet_nas.search.run_folder import at_highest_rung

NULLS = ("params", "macs")


@dataclass(frozen=True)
class Trust:
    """correlations: by the name of a proxy or null model. networks: how many trials they are
    over. seconds: that each proxy took for one network, on average."""

    correlations: dict[str, RankCorrelation]
    networks: int
    seconds: dict[str, float]

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "networks": self.networks,
            "scores": {
                name: {**found.to_data(), "seconds": self.seconds.get(name)}
                for name, found in self.correlations.items()
            },
        }


def proxy_trust(
    folder: RunFolder,
    names: Sequence[str] = (),
    *,
    data: str | None = None,
    images: int = 64,
    limit: int = 200,
    seed: int = 0,
    on_network: Callable[[int, int], None] = lambda done, of: None,
) -> Trust:
    """The correlation of proxies with the accuracy of a run's trials.

    names: of the proxies; all, where none is given. data: where the run's images are, if they
    aren't where it found them. images: of its training images, that each score looks at. limit:
    trials looked at, the latest ones; of rungs, those at the highest. seed: of the resamples.
    on_network: called after each trial with how many are done and how many there are.
    Raises `InputError` for an unknown proxy and for fewer than three trials that succeeded.
    """
    chosen = tuple(names) or tuple(proxy_names())
    for name in chosen:
        check_proxy(name)
    run = folder.run_file(data=data)
    trials = at_highest_rung(folder.trials())[-limit:]
    if len(trials) < LEAST:
        where = f" at rung {trials[0].rung}" if trials and trials[0].rung else ""
        raise InputError(
            f"{folder.path}: {len(trials)} trials succeeded{where} so far; a rank correlation "
            f"needs {LEAST}, and some 30 to say much"
        )
    scores, seconds = _scores(run, trials, chosen, images, on_network)
    accuracy = [(trial.scores or {})["accuracy"] for trial in trials]
    return Trust(rank_correlations(scores, accuracy, NULLS, seed), len(trials), seconds)


def _scores(
    run: RunFile,
    trials: Sequence[TrialRecord],
    names: Sequence[str],
    images: int,
    on_network: Callable[[int, int], None],
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The value of every proxy and null model by trial, and each proxy's seconds a network."""
    settings, space = run.evaluation, run.space.open()
    size, seed = settings.image_size, settings.seed
    batch = training_batch(settings.data, size, settings.validation, seed, images)
    values: dict[str, list[float]] = {name: [] for name in (*names, *NULLS)}
    seconds = dict.fromkeys(names, 0.0)
    for done, trial in enumerate(trials, start=1):
        blueprint = space.build(trial.candidate)
        for name in names:
            started = time.perf_counter()
            score = proxy_score(name, blueprint, *batch, seed=seed)
            seconds[name] += (time.perf_counter() - started) / len(trials)
            values[name].append(score)
        costs = cost(blueprint, size, batch.num_classes)
        for null in NULLS:
            values[null].append(float(getattr(costs, null)))
        on_network(done, len(trials))
    return values, seconds


def print_trust(title: str, trust: Trust) -> None:
    """A table of correlations, strongest first."""
    from rich.table import Table

    table = Table(title=f"{title}: rank correlation with accuracy, {trust.networks} networks")
    table.add_column("score")
    for heading in ("Kendall's tau", "95%", "Spearman's rho", "95%", "beats params and MACs", "s"):
        table.add_column(heading, justify="right")
    rows = trust.correlations.items()
    for name, found in sorted(rows, key=lambda row: -_or_least(row[1].tau)):
        seconds = trust.seconds.get(name)
        table.add_row(
            name,
            _shown(found.tau),
            _range(found.tau_interval),
            _shown(found.rho),
            _range(found.rho_interval),
            "" if found.beats_nulls is None else f"{found.beats_nulls:.0%}",
            "" if seconds is None else f"{seconds:.2f}",
        )
    plain_console().print(table)


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _range(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
