"""The sandwich: of each batch the largest, the smallest and some random networks learn together."""

from __future__ import annotations

from dataclasses import dataclass

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.weight_sharing import PathLearner, path_rng


@dataclass
class Strategy:
    """Yu and Huang 2019, "Universally Slimmable Networks", arXiv 1903.05134, sections 3.2 (sandwich
    rule) and 3.3 (in-place distillation), as in BigNAS (Yu et al. 2020, arXiv 2003.11142, section
    3.1) and AttentiveNAS (Wang et al. 2021, arXiv 2011.09011).

    The largest learns from the labels; the others from what it gives (`distil`), or from the labels
    too. random: networks drawn as the space draws them (2). All add to one update, as a mean.
    """

    space: SearchSpace
    smallest: Candidate
    largest: Candidate
    seed: int = 0
    random: int = 2
    distil: bool = True

    def __post_init__(self) -> None:
        checks.integer("sandwich.random", self.random, least=0)
        checks.boolean("sandwich.distil", self.distil)

    def step(self, supernet: PathLearner, number: int) -> None:
        """The whole sandwich learns."""
        share = 1 / (2 + self.random)
        outputs = supernet.learn(self.largest, share=share)
        teacher = outputs if self.distil else None
        for candidate in self.others(number):
            supernet.learn(candidate, teacher, share)

    def others(self, number: int) -> list[Candidate]:
        """The networks besides the largest that learn from the batch of this number."""
        rng = path_rng(self.seed, number)
        return [self.smallest, *(self.space.sample(rng) for _ in range(self.random))]
