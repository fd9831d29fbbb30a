"""Whether a differentiable search is collapsing: nearly all the probability on doing nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from search_space.coverage import Coverage

DOMINANT = 0.9  # of the probability, in the mean over places


@dataclass(frozen=True)
class Watch:
    """entropy: of the decisions, in the mean, as a share of the largest possible. no_se: the
    probability of no SE, in the mean over places where SE may stand; skipped: of no block, over
    places where none may stand. Both weigh all places alike. None where there are no such."""

    entropy: float
    no_se: float | None
    skipped: float | None

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def warnings(self) -> list[str]:
        """What there is to say, in sentences."""
        found = []
        if self.skipped is not None and self.skipped > DOMINANT:
            found.append(
                f"collapse: {100 * self.skipped:.0f}% of the probability is on leaving blocks out"
            )
        if self.no_se is not None and self.no_se > DOMINANT:
            found.append(f"collapse: {100 * self.no_se:.0f}% of the probability is on no SE")
        return found


def watch(coverage: Coverage, probabilities: Sequence[Tensor]) -> Watch:
    """What the probabilities of options say."""
    settled = [p.detach().double().cpu() for p in probabilities]
    entropies = [
        float(-(p * p.clamp_min(1e-12).log()).sum()) / math.log(len(p))
        for p in settled
        if len(p) > 1
    ]
    absent, none = [], []
    for place in coverage.places:
        if (place.table < 0).any() and (place.table >= 0).any():
            absent.append(_share(place.table < 0, place.positions, settled))
        if None in place.se_options and len(place.se_options) > 1:
            is_none = place.se_table == place.se_options.index(None)
            none.append(_share(is_none, place.se_positions, settled))
    return Watch(
        sum(entropies) / len(entropies) if entropies else 0.0,
        sum(none) / len(none) if none else None,
        sum(absent) / len(absent) if absent else None,
    )


def _share(where: Any, positions: Sequence[int], probabilities: Sequence[Tensor]) -> float:
    """The probability of the option numbers where a table is true."""
    joint = probabilities[0].new_ones(())
    for position in positions:
        joint = joint[..., None] * probabilities[position]
    return float(joint[where].sum())
