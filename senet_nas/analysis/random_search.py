"""Random search at equal budget, as a front's null model."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search_space import InputError
from senet_nas.analysis.front import Front, front_of
from senet_nas.analysis.run_difference import covered, scored_otherwise
from senet_nas.analysis.run_view import RunView
from senet_nas.search import TrialRecord

RANDOM = "random_search"  # the strategy
STRATEGY = f'strategy={{name="{RANDOM}"}}'  # in place of all that the run file says of it
ROUNDING = 1e-6  # of sums of epochs


@dataclass(frozen=True)
class RandomSearch:
    """What random search found for as much as a run spent. name: of its folder. unit: in what
    budgets are counted, "epochs" of training where both runs say them, else "evaluations". budget:
    that the run spent; used: of random search, from its beginning. front: of what it found for
    that. covered: the share of the run's front that it equals or beats; None where one is empty.
    otherwise: why it can't be held against the run."""

    name: str
    unit: str
    budget: float
    used: float
    front: Front
    covered: float | None
    otherwise: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        """Whether random search had less than the run, by more than one evaluation's rest."""
        return self.used < self.budget * (1 - 1 / max(1, self.front.trials)) - ROUNDING

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "run": self.name,
            "unit": self.unit,
            "budget": self.budget,
            "used": self.used,
            "covered": self.covered,
            "otherwise": list(self.otherwise),
            "front": self.front.to_data(),
        }


def strategy_of(view: RunView) -> str | None:
    """The name of a run's strategy, read alone; None where the run leaves it open."""
    path = view.folder.path / "run.toml"
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("strategy", {}).get("name")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: {error}") from None
    return None if found is None else str(found)


def check_random(view: RunView) -> None:
    """Raises `InputError` for a run that isn't random search."""
    name = strategy_of(view)
    if name != RANDOM:
        raise InputError(f"{view.name}: not random search (its strategy is {name})")


def random_search(
    view: RunView, random: RunView, front: Front, beside: Sequence[TrialRecord]
) -> RandomSearch:
    """The front of random search's first evaluations, as many as the run's budget pays for.

    front: the run's. random: with scores for the run's objectives. beside: trials that count for
    the reference point, as they did for the run's front.
    """
    budgets = [sum(r.epochs for r in each.records) for each in (view, random)]
    unit = "epochs" if all(budgets) else "evaluations"
    budget = budgets[0] if unit == "epochs" else float(len(view.records))
    taken, used = [], 0.0
    for record in random.records:
        spent = record.epochs if unit == "epochs" else 1.0
        if used + spent > budget + ROUNDING:
            break
        taken.append(record)
        used += spent
    its = front_of(taken, front.objectives, beside=beside)
    return RandomSearch(
        random.name, unit, budget, used, its, covered(front, its), _otherwise(view, random)
    )


def _otherwise(view: RunView, random: RunView) -> tuple[str, ...]:
    faults = [f"other settings: {name}" for name in scored_otherwise(view, random)]
    if view.fault or random.fault:
        return (*faults, view.fault or random.fault or "")
    if view.space.fingerprint() != random.space.fingerprint():
        faults.append("another space")
    return tuple(faults)


def random_command(view: RunView) -> str:
    """What searches at random with a run's settings and its number of evaluations."""
    path = view.folder.path
    words = (
        ["senet-nas", "search", str(path / "run.toml"), "--set", STRATEGY],
        ["--set", f"budget.trials={max(1, len(view.records))}", "--out", f"{path}-random"],
    )
    return shlex.join([*words[0], *words[1]])
