"""A filter before training: of several candidates that a strategy draws, which one is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from search_space import Candidate, InputError, SearchSpace, checks
from senet_nas.proxies.core.batch import Batch
from senet_nas.proxies.core.scoring import check_proxy, proxy_score

REMEMBERED = 10_000  # scores


@dataclass(frozen=True)
class Chooser:
    """Takes the first candidate that no other is better than: higher in the proxy's score and
    nowhere costlier, or as high and cheaper.

    Proxies rise with a network's depth or width, so the highest score alone would leave the cheap
    end of a front empty. Without costs it is the highest score. The choice depends on the
    candidates alone, so a run that is resumed goes on as it would have.

    draws: how many candidates to draw for one that is trained. score: of a candidate, higher is
    better. costs: those among the objectives.
    """

    draws: int
    score: Callable[[Candidate], float]
    costs: tuple[Callable[[Candidate], float], ...] = ()

    def __call__(self, candidates: Sequence[Candidate]) -> Candidate:
        """One of at least one candidate."""
        losses = [(-self.score(c), *(cost(c) for cost in self.costs)) for c in candidates]
        first = next(
            index
            for index, own in enumerate(losses)
            if not any(other != own and _nowhere_worse(other, own) for other in losses)
        )
        return candidates[first]


def proxy_chooser(
    name: str,
    keep: float,
    space: SearchSpace,
    batch: Batch,
    *,
    known: Mapping[str, Callable[[Candidate], float]] | None = None,
    objectives: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Chooser:
    """A chooser by a proxy's score, of which a share `keep` of what is drawn is trained.

    keep: above 0, up to 1; 1 / keep is rounded. batch: what the proxy looks at.
    known: scores that are known before training; those that are objectives to be minimised are
    the costs. Raises `InputError` for an unknown proxy or a share out of range.
    """
    checks.number("filter.keep", keep, least=0)
    if not 0 < keep <= 1:
        raise InputError(f"filter.keep must be above 0 and at most 1, not {keep}")
    check_proxy(name)

    @lru_cache(REMEMBERED)
    def score(candidate: Candidate) -> float:
        return proxy_score(name, space.build(candidate), *batch, seed=seed)

    goals = objectives or {}
    costs = [f for key, f in (known or {}).items() if goals.get(key) == "min"]
    return Chooser(max(1, round(1 / keep)), score, tuple(costs))


def _nowhere_worse(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(one, other, strict=True))
