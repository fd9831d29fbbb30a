"""What is known of a candidate's cost before it is trained: counted, or predicted by a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from search_space import Blueprint
from search_space.errors import one_of
from senet_nas.cost import cost
from senet_nas.latency import LatencyTable
from senet_nas.search.evaluation_section import EvaluationSection

COUNTED = ("params", "macs", "activations")
LATENCY = "latency_ms"


@dataclass(frozen=True)
class KnownCosts:
    """Of networks for images of this side and so many classes. table: of their latency, where
    there is one."""

    image_size: int
    num_classes: int
    table: LatencyTable | None = None

    @classmethod
    def of_run(cls, evaluation: EvaluationSection, num_classes: int) -> KnownCosts:
        """Raises `InputError` where the run's table can't be read."""
        return cls(evaluation.image_size, num_classes, evaluation.open_table())

    @property
    def names(self) -> tuple[str, ...]:
        """Of these costs."""
        return COUNTED if self.table is None else (*COUNTED, LATENCY)

    def of(self, name: str) -> Callable[[Blueprint], float]:
        """A network's cost of this name. Raises `InputError` for one that isn't known."""
        if name not in self.names:
            raise one_of("cost", name, self.names)
        if name == LATENCY and self.table is not None:
            return self.table.predict
        return partial(self._counted, name)

    def _counted(self, name: str, network: Blueprint) -> float:
        return float(getattr(cost(network, self.image_size, self.num_classes), name))

    def all(self, network: Blueprint) -> dict[str, float]:
        """Every cost that is known, by name."""
        return {name: self.of(name)(network) for name in self.names}
