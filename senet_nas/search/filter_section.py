"""The section of a run file that filters candidates before training, by a zero-cost proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from search_space import Candidate, SearchSpace
from senet_nas.proxies import Chooser, check_proxy, proxy_chooser, training_batch
from senet_nas.search.toml_file import Section

if TYPE_CHECKING:
    from senet_nas.search.run_file import RunFile


class FilterSection(Section):
    """proxy: its name. keep: the share of the candidates that the strategy draws which is
    trained; 0.5 trains the better one of two (1 / keep is rounded)."""

    proxy: str
    keep: float = Field(default=0.5, gt=0, le=1)

    def check(self) -> None:
        """Raises `InputError` where there is no such proxy."""
        check_proxy(self.proxy)

    def chooser(
        self, run: RunFile, space: SearchSpace, known: Mapping[str, Callable[[Candidate], float]]
    ) -> Chooser:
        """Which of several candidates is trained, by a batch of the images that the run trains
        on. known: scores that need no training; those to be minimised weigh against the proxy."""
        evaluation = run.evaluation
        batch = training_batch(
            evaluation.data, evaluation.image_size, evaluation.validation, evaluation.seed
        )
        return proxy_chooser(
            self.proxy,
            self.keep,
            space,
            batch,
            known=known,
            objectives=run.objectives,
            seed=evaluation.seed,
        )
