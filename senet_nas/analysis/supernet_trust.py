"""What a supernet's scores are worth: their rank correlation with training alone, and whether its
front lies beyond the spread of random search at equal device-seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from search_space import Candidate
from senet_nas.analysis.front import front_of
from senet_nas.analysis.rank_correlation import partial_rho, rank_correlations
from senet_nas.cost import COSTS
from senet_nas.data import write_atomically
from senet_nas.search import RunFolder, TrialRecord
from senet_nas.search.weight_sharing.trust import FOLDER, PLAN_FILE, UNTAUGHT, Plan

TRUST_FILE = "trust.json"
DEVIATIONS = 2.0  # of random search's hypervolumes, within which nothing has won

Pair = tuple[Mapping[str, float], Mapping[str, float]]  # scores in the supernet, and alone


@dataclass(frozen=True)
class Tau:
    """Kendall's tau between scores in the supernet and alone, its 95% interval by bootstrap, and
    the number of networks. macs: the tau of MACs with training alone, which a supernet has to
    beat; larger networks are taken to be better. rho_given_macs: Spearman's rho given MACs
    (`partial_rho`), which is what the scores add to them: a front needs networks ranked that cost
    the same. untaught: where networks are tuned before they are scored, the tau of training from
    initial weights for as long, which says what is the supernet's part; None where they aren't."""

    tau: float | None
    interval: tuple[float, float] | None
    networks: int
    macs: float | None
    rho_given_macs: float | None = None
    untaught: float | None = None


@dataclass(frozen=True)
class SupernetTrust:
    """all: over networks spread over the range of MACs; se: over networks that differ in SE alone.
    supernet: hypervolume of the front's finalists, trained alone; random: of each random search,
    with the same reference point; random_trials: of each. device_seconds: of the search in all.
    verdict: a sentence. beats_random: whether there is a winner; None where nothing says."""

    all: Tau
    se: Tau | None
    supernet: float | None
    random: tuple[float, ...]
    random_trials: int
    device_seconds: float
    beats_random: bool | None
    verdict: str

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def supernet_trust(folder: RunFolder) -> SupernetTrust | None:
    """Of a run, from what its `trust` folder holds, written to `trust.json`; None where that is
    not complete. The first objective that is measured is the one whose ranking counts."""
    path = folder.path / FOLDER
    if not (path / PLAN_FILE).exists():
        return None
    plan = Plan.load(path / PLAN_FILE)
    objectives = folder.objectives()
    alone = _by_candidate(path / "alone")
    pairs = scored_twice(folder)
    measured = ranked_objective(objectives)
    direction = objectives.get(measured, "max")
    briefly = _by_candidate(path / UNTAUGHT) if (path / UNTAUGHT).exists() else {}

    def tau(kind: str, candidates: Sequence[Candidate]) -> Tau:
        by_itself = _untaught([(briefly.get(c), alone[c]) for c in candidates], measured)
        return replace(_tau(pairs[kind], measured, direction), untaught=by_itself)

    finalists = [alone[candidate] for candidate in plan.finalists]
    random = [[alone[candidate] for candidate in drawn] for drawn in plan.random]
    volumes = _volumes([finalists, *random], objectives) if random else [None]
    beats, verdict = _verdict(volumes)
    found = SupernetTrust(
        all=tau("all", plan.sample),
        se=tau("se", plan.se) if plan.se else None,
        supernet=volumes[0],
        random=tuple(v for v in volumes[1:] if v is not None),
        random_trials=max(map(len, random), default=0),
        device_seconds=plan.device_seconds["supernet"] + plan.device_seconds["finalists"],
        beats_random=beats,
        verdict=verdict,
    )
    _write(folder.path / TRUST_FILE, found)
    return found


def ranked_objective(objectives: Mapping[str, str]) -> str:
    """The first that training decides: of a cost both sides say the same."""
    return next((name for name in objectives if name not in COSTS), "accuracy")


def scored_twice(folder: RunFolder) -> dict[str, list[Pair]]:
    """The scores of each network that was both scored in the supernet and trained alone: `all`
    spread over the range of MACs, `se` those that differ in SE alone. Empty where there are none.
    """
    path = folder.path / FOLDER
    if not (path / PLAN_FILE).exists():
        return {}
    plan = Plan.load(path / PLAN_FILE)
    shared, alone = _by_candidate(path / "supernet"), _by_candidate(path / "alone")
    found: dict[str, list[Pair]] = {}
    for kind, candidates in (("all", plan.sample), ("se", plan.se)):
        pairs = [(shared[c].scores, alone[c].scores) for c in candidates]
        found[kind] = [(s, a) for s, a in pairs if s is not None and a is not None]
    return found


def _by_candidate(path: Path) -> dict[Candidate, TrialRecord]:
    return {record.candidate: record for record in RunFolder.open(path).trials()}


def _tau(both: Sequence[Pair], measured: str, direction: str) -> Tau:
    larger_is_better = 1 if direction == "max" else -1
    columns = {
        "supernet": [s[measured] for s, _ in both],
        "macs": [larger_is_better * a["macs"] for _, a in both],
    }
    outcome = [a[measured] for _, a in both]
    found = rank_correlations(columns, outcome, nulls=["macs"])
    return Tau(
        tau=found["supernet"].tau,
        interval=found["supernet"].tau_interval,
        networks=len(both),
        macs=found["macs"].tau,
        rho_given_macs=partial_rho(columns["supernet"], outcome, columns["macs"]),
    )


def _untaught(
    records: Sequence[tuple[TrialRecord | None, TrialRecord]], measured: str
) -> float | None:
    """Tau between networks trained alone briefly and fully, over those that both could be."""
    both = [
        (brief.scores[measured], full.scores[measured])
        for brief, full in records
        if brief is not None and brief.scores is not None and full.scores is not None
    ]
    columns = {"untaught": [brief for brief, _ in both]}
    return rank_correlations(columns, [full for _, full in both])["untaught"].tau


def _volumes(
    groups: Sequence[Sequence[TrialRecord]], objectives: dict[str, str]
) -> list[float | None]:
    everything = [record for group in groups for record in group]
    return [front_of(group, objectives, beside=everything).hypervolume for group in groups]


def _verdict(volumes: Sequence[float | None]) -> tuple[bool | None, str]:
    ours, *others = volumes
    known = [volume for volume in others if volume is not None]
    if not others:
        return None, "not compared with random search (supernet.trust.seeds = 0)"
    if ours is None or not known:
        return (
            None,
            "not compared with random search: one side has no network that could be trained",
        )
    mean = sum(known) / len(known)
    ratio = f"{ours / mean:.3f} times its mean hypervolume" if mean else "its hypervolume is 0"
    if len(known) == 1:
        return None, (
            "one random search of equal device-seconds shows no spread, so there is no winner "
            f"({ratio}; give supernet.trust.seeds = 2 or more)"
        )
    spread = (sum((v - mean) ** 2 for v in known) / (len(known) - 1)) ** 0.5
    least, most = (
        min([*known, mean - DEVIATIONS * spread]),
        max([*known, mean + DEVIATIONS * spread]),
    )
    seeds = f"random search of equal device-seconds ({len(known)} seeds)"
    if ours > most:
        return True, f"the front lies beyond the spread of {seeds}: {ratio}"
    if ours < least:
        return False, f"the front lies below the spread of {seeds}: {ratio}"
    return False, f"the front lies within the spread of {seeds}: no winner ({ratio})"


def print_trust(trust: SupernetTrust) -> None:
    """A few lines on stdout."""
    console = Console()
    console.print(f"Kendall's tau, supernet against alone: {_line(trust.all)}")
    if trust.se is not None:
        console.print(f"the same where SE alone differs: {_line(trust.se)}")
    console.print(trust.verdict)


def _line(tau: Tau) -> str:
    if tau.tau is None or tau.interval is None:
        return f"not defined over {tau.networks} networks"
    low, high = tau.interval
    besides = "".join(
        f"; {what} {value:.2f}"
        for what, value in (
            ("by MACs alone", tau.macs),
            ("given these Spearman's rho", tau.rho_given_macs),
            ("by the tuning alone", tau.untaught),
        )
        if value is not None
    )
    return f"{tau.tau:.2f} (95%: {low:.2f} to {high:.2f}; {tau.networks} networks{besides})"


def _write(path: Path, trust: SupernetTrust) -> None:
    text = json.dumps(trust.to_data(), indent=2) + "\n"
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
