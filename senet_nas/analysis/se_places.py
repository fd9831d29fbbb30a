"""Where in its networks a space puts SE: which decision belongs to which block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from search_space import SE, Blueprint, Candidate, Retrofit, SearchSpace

STAGE, BLOCK = 1, 3  # in "stages.0.blocks.1", split at its points


@dataclass(frozen=True)
class SEPlace:
    """position: of the decision in the space. path: of the block, or the module of a retrofitted
    network. late: whether it is in the later half of the network: of its stages, or, in one
    without stages, of its places."""

    position: int
    path: str
    late: bool

    @property
    def label(self) -> str:
        """`stage 2, block 1` of a staged network, else the path."""
        parts = self.path.split(".")
        if parts[0] != "stages" or len(parts) <= BLOCK:
            return self.path
        return f"stage {int(parts[STAGE]) + 1}, block {int(parts[BLOCK]) + 1}"


def se_positions(space: SearchSpace) -> list[int]:
    """The positions of the decisions that choose SE or none."""
    return [
        position
        for position, decision in enumerate(space.decisions)
        if any(isinstance(option, SE) for option in decision.options)
    ]


def se_places(space: SearchSpace, candidates: Iterable[Candidate]) -> list[SEPlace]:
    """The places that count in any of these candidates, in the space's order: what changes in a
    network where the decision alone does."""
    left = set(se_positions(space))
    found: dict[int, tuple[str, int]] = {}
    for candidate in candidates:
        for position in [p for p in left if space.is_active(candidate, p)]:
            where = _changed(space, candidate, position)
            if where is not None:
                found[position] = where
                left.discard(position)
        if not left:
            break
    order = sorted(found)
    return [
        SEPlace(position, path, _is_late(path, stages, order.index(position), len(order)))
        for position, (path, stages) in ((position, found[position]) for position in order)
    ]


def has_se(space: SearchSpace, candidate: Candidate, position: int) -> bool:
    """Whether a candidate has SE by this decision."""
    option = space.decisions[position].options[candidate[position]]
    return isinstance(option, SE) and space.is_active(candidate, position)


def _changed(space: SearchSpace, candidate: Candidate, position: int) -> tuple[str, int] | None:
    """The path of the block that the decision changes, and the number of stages."""
    networks = [
        _gates(space.build((*candidate[:position], number, *candidate[position + 1 :])))
        for number in range(min(2, len(space.decisions[position].options)))
    ]
    (first, stages), (second, _) = networks[0], networks[-1]
    paths = [path for path in {**first, **second} if first.get(path) != second.get(path)]
    return (paths[0], stages) if paths else None


def _gates(network: Blueprint) -> tuple[dict[str, SE | None], int]:
    if isinstance(network, Retrofit):
        return dict(network.gates), 0
    return {path: block.se for path, block in network.blocks()}, len(network.stages)


def _is_late(path: str, stages: int, index: int, places: int) -> bool:
    parts = path.split(".")
    if stages > 1 and parts[0] in ("stem", "head"):
        return parts[0] == "head"
    if stages > 1:
        return int(parts[STAGE]) >= stages - stages // 2
    return index >= places - max(1, places // 2)
