"""Small problems without networks, on which strategies are tested and compared.

Landscapes of the NK family (Kauffman 1993, "The Origins of Order", chapter 2): what an option is
worth depends on the option of the decision before it, so that no decision can be made alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from search_space.space import Candidate, Decision, SearchSpace


@dataclass(frozen=True)
class Problem:
    """objectives: "max" or "min" by the name of a score. score: all scores of a candidate.
    reference: the worst value of each objective, for hypervolumes."""

    space: SearchSpace
    objectives: Mapping[str, str]
    score: Callable[[Candidate], dict[str, float]]
    reference: Mapping[str, float]


def epistatic(decisions: int = 20, options: int = 4, seed: int = 0) -> Problem:
    """Plain decisions, all of which always count."""
    names = (f"decision{number}" for number in range(decisions))
    choices = {name: range(options) for name in names}
    return _landscape(SearchSpace.from_choices(choices, name="epistatic"), seed)


def conditional(stages: int = 4, depth: int = 4, seed: int = 0) -> Problem:
    """Stages of blocks: what is beyond a stage's depth doesn't count, nor the placement of an
    SE block that isn't there."""
    decisions = []
    for stage in range(stages):
        depths = range(1, depth + 1)
        decisions.append(Decision(f"stage{stage}_depth", tuple(depths)))
        for block in range(depth):
            name = f"stage{stage}_block{block}"
            deep_enough = {f"stage{stage}_depth": [d for d in depths if d > block]}
            decisions.append(Decision(f"{name}_r", (None, 4, 16), when=deep_enough))
            decisions.append(
                Decision(f"{name}_placement", ("standard", "pre"), when={f"{name}_r": [4, 16]})
            )
    return _landscape(SearchSpace("conditional", tuple(decisions)), seed)


def _landscape(space: SearchSpace, seed: int) -> Problem:
    """accuracy in percent: mean worth of the decisions that count, where later options are worth
    more on average. macs: one more for each decision that counts and each option passed over."""
    rng = np.random.default_rng(seed)
    lengths = [len(decision.options) for decision in space.decisions]
    worth = [
        (2 * rng.random((before, own)) + np.linspace(0, 1, own)) / 3
        for before, own in zip([lengths[-1], *lengths], lengths, strict=False)
    ]

    def score(candidate: Candidate) -> dict[str, float]:
        active = [p for p in range(len(space)) if space.is_active(candidate, p)]
        total = sum(worth[p][candidate[p - 1], candidate[p]] for p in active)
        macs = sum(1 + candidate[p] for p in active)
        return {"accuracy": 100 * float(total) / len(space), "macs": float(macs)}

    objectives = {"accuracy": "max", "macs": "min"}
    return Problem(space, objectives, score, {"accuracy": 0.0, "macs": float(sum(lengths))})
