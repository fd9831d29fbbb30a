"""Single path: one random network of the supernet learns from each batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.weight_sharing import PathLearner, path_rng

SAMPLINGS = ("uniform", "fair")
LARGEST_SHARE = 0.4
ENLARGED = 1  # beside the seed and the step, what these draws begin from


@dataclass
class Strategy:
    """Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling",
    arXiv 1904.00420, section 3.2; `fair`: Chu et al. 2021, "FairNAS", arXiv 1907.01845, section 3.

    sampling: `uniform` draws each network as the space draws it. `fair` deals the options of each
    decision out like cards: over a round of m batches, m being the number of options (or of their
    weights), each has been dealt as often as its weight says, whatever the seed. FairNAS lets the
    m networks of a round learn before one update; here each has an update of its own, since
    decisions differ in their number of options (51 for SE, 2 for a kernel).

    largest_share: how likely, from 0.0 to below 1, each decision among numbers (width, depth,
    kernel, expansion) that counts in the largest network is that network's instead of what was
    drawn. The last channels of a width are part of few networks, and learn little else; in the
    sandwich (arXiv 1903.05134) the largest learns from every batch. Steps take longer by it. By
    default 0.4 (docs/supernets.md has what it gives), and 0.0 with `fair`, whose deals it breaks.
    """

    space: SearchSpace
    smallest: Candidate
    largest: Candidate
    seed: int = 0
    sampling: str = "uniform"
    largest_share: float | None = None

    def __post_init__(self) -> None:
        checks.choice("single_path.sampling", self.sampling, SAMPLINGS)
        share = self.largest_share
        if share is None:
            share = LARGEST_SHARE if self.sampling == "uniform" else 0.0
        checks.below_one("single_path.largest_share", share)
        self._share = share
        self._is_size = np.array(
            [
                all(map(_is_number, decision.options)) and self.space.is_active(self.largest, at)
                for at, decision in enumerate(self.space.decisions)
            ]
        )
        self._decks = [_deck(d.weights, len(d.options)) for d in self.space.decisions]

    def step(self, supernet: PathLearner, number: int) -> None:
        """One network learns."""
        supernet.learn(self.candidate(number))

    def candidate(self, number: int) -> Candidate:
        """The network that learns from the batch of this number."""
        drawn = self._drawn(number)
        if not self._share:
            return self.space.normalise(drawn)
        rng = np.random.default_rng([self.seed, number, ENLARGED])
        enlarged = self._is_size & (rng.random(len(drawn)) < self._share)
        return self.space.normalise(np.where(enlarged, self.largest, drawn).tolist())

    def _drawn(self, number: int) -> list[int]:
        """An option of every decision: one that doesn't count yet may do so in a deeper network."""
        if self.sampling == "uniform":
            return self.space.draw(path_rng(self.seed, number))
        dealt = []
        for position, deck in enumerate(self._decks):
            turn, place = divmod(number, len(deck))
            rng = np.random.default_rng([self.seed, position, turn])
            dealt.append(int(rng.permutation(deck)[place]))
        return dealt


def _is_number(option: object) -> bool:
    return isinstance(option, int | float) and not isinstance(option, bool)


def _deck(weights: tuple[float, ...] | None, options: int) -> np.ndarray:
    """Each option as often as its weight, over the smallest, says."""
    if weights is None:
        return np.arange(options)
    counts = np.maximum(1, np.rint(np.asarray(weights) / min(weights))).astype(int)
    return np.repeat(np.arange(options), counts)
