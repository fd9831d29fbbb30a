"""Single path: one random network of the supernet learns from each batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.weight_sharing import PathLearner, path_rng

SAMPLINGS = ("uniform", "fair")


@dataclass
class Strategy:
    """Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling",
    arXiv 1904.00420, section 3.2; `fair`: Chu et al. 2021, "FairNAS", arXiv 1907.01845, section 3.

    sampling: `uniform` draws each network as the space draws it. `fair` deals the options of each
    decision out like cards: over a round of m batches, m being the number of options (or of their
    weights), each has been dealt as often as its weight says, whatever the seed. FairNAS lets the
    m networks of a round learn before one update; here each has an update of its own, since
    decisions differ in their number of options (51 for SE, 2 for a kernel).
    """

    space: SearchSpace
    smallest: Candidate
    largest: Candidate
    seed: int = 0
    sampling: str = "uniform"

    def __post_init__(self) -> None:
        checks.choice("single_path.sampling", self.sampling, SAMPLINGS)
        self._decks = [_deck(d.weights, len(d.options)) for d in self.space.decisions]

    def step(self, supernet: PathLearner, number: int) -> None:
        """One network learns."""
        supernet.learn(self.candidate(number))

    def candidate(self, number: int) -> Candidate:
        """The network that learns from the batch of this number."""
        if self.sampling == "uniform":
            return self.space.sample(path_rng(self.seed, number))
        dealt = []
        for position, deck in enumerate(self._decks):
            turn, place = divmod(number, len(deck))
            rng = np.random.default_rng([self.seed, position, turn])
            dealt.append(int(rng.permutation(deck)[place]))
        return self.space.normalise(dealt)


def _deck(weights: tuple[float, ...] | None, options: int) -> np.ndarray:
    """Each option as often as its weight, over the smallest, says."""
    if weights is None:
        return np.arange(options)
    counts = np.maximum(1, np.rint(np.asarray(weights) / min(weights))).astype(int)
    return np.repeat(np.arange(options), counts)
