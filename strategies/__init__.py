"""How to search: one file a strategy, all behind ask and tell.

Needs numpy, and moocore to rank by several objectives; sees candidates and scores, never networks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search_space import checks
from search_space.errors import InputError, one_of
from search_space.registry import lookup, names
from search_space.space import Candidate, SearchSpace
from strategies.core.ask_tell import AskTell, Prefer
from strategies.core.by_rung import ByRung
from strategies.core.ledger import Ledger
from strategies.core.limits import Bound
from strategies.core.objectives import Objectives
from strategies.core.protocol import Child, Proposer, Trial

__all__ = [
    "AskTell",
    "Child",
    "Ledger",
    "Objectives",
    "Proposer",
    "Trial",
    "make_strategy",
    "strategy_names",
    "strategy_settings",
]


def make_strategy(
    name: str,
    space: SearchSpace,
    objectives: Mapping[str, str],
    seed: int = 0,
    known: Mapping[str, Callable[[Candidate], float]] | None = None,
    limits: Mapping[str, Bound] | None = None,
    first: Sequence[Candidate] = (),
    rungs: int = 1,
    draws: int = 1,
    prefer: Prefer | None = None,
    **settings: Any,
) -> AskTell:
    """A strategy by name, ready to ask and tell.

    objectives: "max" or "min" by the name of a score. known: functions that compute a score of a
    candidate before it is trained. limits: by the name of a known score, the most that it may be,
    or (least, most). rungs: of training, for each of which `tell` gives scores (see `ByRung`).
    draws, prefer: so many distinct candidates are proposed for each that is given out, and
    `prefer`, a function of a list of them alone, says which.
    settings: the strategy's own, as `strategy_settings` lists them.
    Raises `InputError` for what isn't known or allowed.
    """
    goals = Objectives(objectives)
    allowed = strategy_settings(name)
    for key in settings:
        if key not in allowed:
            if not allowed:
                raise InputError(f"{name} has no settings, so not {key!r}")
            raise one_of(f"{name}: setting", key, allowed)
    ledger = Ledger(space, known or {}, limits or {})
    proposer_class = _proposer_class(name)
    given = {"ledger": ledger} if "ledger" in _parameters(proposer_class) else {}
    checks.integer("rungs", rungs, least=1)
    copies = [proposer_class(space, goals, **given, **settings) for _ in range(rungs)]
    proposer = copies[0] if rungs == 1 else ByRung(copies)
    return AskTell(proposer, ledger, space, goals, seed, first, rungs, draws, prefer)


def strategy_names() -> list[str]:
    """The names that `make_strategy` takes."""
    return names("strategies")


def strategy_settings(name: str) -> dict[str, Any]:
    """A strategy's settings with their defaults; its class says what they mean."""
    return {
        parameter.name: parameter.default
        for parameter in list(_parameters(_proposer_class(name)).values())[2:]
        if parameter.name != "ledger"
    }


def _parameters(proposer_class: Callable[..., Proposer]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(proposer_class).parameters


def _proposer_class(name: str) -> Callable[..., Proposer]:
    module = lookup("strategies", name, "strategy")
    found: Callable[..., Proposer] | None = getattr(module, "Strategy", None)
    if found is None:
        raise InputError(f"strategy {name!r}: {module.__file__} has no class `Strategy`")
    return found
