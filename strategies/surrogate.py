"""Model-based search: a Gaussian process for each objective that isn't known before training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from search_space import checks
from search_space.space import Candidate, SearchSpace
from strategies.core.codes import Codes, Rows
from strategies.core.features import Features, Featuriser
from strategies.core.improvement import expected_improvement
from strategies.core.ledger import Ledger
from strategies.core.loss_models import Fitted, LossModels, Scale, fit_loss, on_scales
from strategies.core.objectives import SIGNS, Objectives
from strategies.core.pareto import Losses, domination_ranks
from strategies.core.protocol import Trial
from strategies.core.selection import losses_of, survivors

REFIT = 1.2  # growth of the history from one fit of the hyperparameters to the next
MOST_FITTED = 200  # trials that hyperparameters are fitted to
MOST_KEPT, KEPT = 500, 200  # trials that models are conditioned on; what stays beyond the most
BLOCK = 16  # told trials after which models are conditioned anew, not extended
MOST_BELIEVED = 50  # pending candidates that models take account of
LEADERS, NEIGHBOURS = 12, 12  # of the pool, mutated once more, and how often
MARGIN = 0.4  # of the reference beyond the worst losses, as a share of their range
TRIED = 60  # of the pool, best first, until one is free


@dataclass
class Strategy:
    """Bayesian optimisation over categorical decisions by expected hypervolume improvement
    (Emmerich et al. 2006, IEEE Transactions on Evolutionary Computation 10(4); with one objective
    expected improvement, Jones et al. 1998), on Gaussian processes with a product of Hamming
    kernels (Ru et al. 2020, arXiv 1906.08878), maximised over a pool that evolution proposes
    from the front.

    Pending candidates count as told with the losses that are expected of them. Objectives that are
    known before training need no model.

    initial: random candidates before the first model (10). pool: candidates that the improvement
    is computed for at each proposal (400).
    """

    space: SearchSpace
    objectives: Objectives
    ledger: Ledger
    initial: int = 10
    pool: int = 400
    _trials: list[Trial] = field(init=False, repr=False, default_factory=list)
    _to_fit: list[Trial] = field(init=False, repr=False, default_factory=list)
    _count: int = field(init=False, repr=False, default=0)
    _fitted: list[Fitted | Scale] = field(init=False, repr=False, default_factory=list)
    _base: tuple[int, LossModels] | None = field(init=False, repr=False, default=None)
    _view: _View | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        checks.integer("surrogate.initial", self.initial, least=2)
        checks.integer("surrogate.pool", self.pool, least=10)
        self._codes = Codes(self.space)
        self._featuriser = Featuriser(self.space)
        self._next_fit = self.initial
        self._worst = np.full(len(self.objectives.names), -np.inf)

    def learn(self, trial: Trial) -> None:
        """Keeps the trial. What is computed from it waits for the next proposal."""
        self._count += 1
        self._trials.append(trial)
        self._worst = np.maximum(self._worst, trial.losses)
        self._view = None
        if len(self._trials) > MOST_KEPT:
            self._trials, self._base = representative(self._trials, KEPT), None
        if self._count >= self._next_fit:
            self._to_fit, self._fitted, self._base = list(self._trials), [], None
            self._next_fit = math.ceil(self._count * REFIT)

    def propose(self, rng: np.random.Generator) -> Candidate:
        """The candidate of a pool that promises most."""
        if not self._to_fit:
            return self.space.sample(rng)
        view = self._believing(self._view or self._look())
        pool = self._new(self._evolved(view.parents, rng))
        gains = self._gains(pool, view)
        leaders = pool[np.argsort(-gains, kind="stable")[:LEADERS]]
        ones = np.ones(len(leaders) * NEIGHBOURS, dtype=np.int64)
        near = self._new(self._codes.mutate(leaders.repeat(NEIGHBOURS, axis=0), ones, rng))
        gains = np.concatenate([gains, self._gains(near, view)])
        pool = np.concatenate([pool, near])
        for row in pool[np.argsort(-gains, kind="stable")[:TRIED]].tolist():
            if self.ledger.is_free(tuple(row)):
                return tuple(row)
        return self.space.sample(rng)

    def _look(self) -> _View:
        """The models of what was told, computed once a trial."""
        if not self._fitted:
            self._fitted = list(self._fit())
        rows = self._codes.rows([trial.candidate for trial in self._trials])
        losses = on_scales(self._fitted, losses_of(self._trials))
        models = self._conditioned(self._featuriser(rows), losses)
        worst = on_scales(self._fitted, self._worst[None])[0]
        worst += MARGIN * (worst - losses.min(axis=0))
        best = domination_ranks(losses) == 0
        self._view = _View(models, rows[best], losses[best], worst)
        return self._view

    def _conditioned(self, features: Features, losses: Losses) -> LossModels:
        """On whole blocks of trials anew, once a block, and extended by what came since: the same
        whether the trials were told one by one or all at once."""
        whole = len(losses) - len(losses) % BLOCK or len(losses)
        if self._base is None or self._base[0] != whole:
            self._base = whole, LossModels(self._fitted, features[:whole], losses[:whole])
        models = self._base[1]
        if whole < len(losses):
            models = models.extended(features[whole:], losses[whole:])
        return models

    def _fit(self) -> Iterator[Fitted | Scale]:
        trials = self._to_fit
        if len(trials) > MOST_FITTED:
            trials = representative(trials, MOST_FITTED)
        features = self._featuriser(self._codes.rows([trial.candidate for trial in trials]))
        losses = losses_of(trials)
        for name, column in zip(self.objectives.names, losses.T, strict=True):
            if self.ledger.knows(name):
                yield Scale(float(column.min()), 1.0, is_log=False)
            else:
                yield fit_loss(features, self._featuriser.groups, column)

    def _believing(self, view: _View) -> _View:
        """With pending candidates taken as told with what is expected of them."""
        recent = list(islice(reversed(self.ledger.pending), MOST_BELIEVED))
        if not recent:
            return view
        rows = self._codes.rows(recent)
        features = self._featuriser(rows)
        expected = view.models.means(features, self._known_losses(rows))
        losses = np.concatenate([view.front, expected])
        best = domination_ranks(losses) == 0
        models = view.models.extended(features, expected)
        return _View(models, view.parents, losses[best], view.worst)

    def _evolved(self, parents: Rows, rng: np.random.Generator) -> Rows:
        """Mutants of the front with one change or more, crossovers in it, random candidates."""
        count = self.pool * 2 // 5
        first, second, third = parents[rng.integers(len(parents), size=(3, count))]
        mutants = self._codes.mutate(first, rng.geometric(0.5, size=count), rng)
        crossed = self._codes.cross(second, third, rng)
        children = self._codes.mutate(crossed, rng.integers(2, size=count), rng)
        return np.concatenate([mutants, children, self._codes.sample(self.pool - 2 * count, rng)])

    def _new(self, rows: Rows) -> Rows:
        """Without repetitions, and without what was told or is pending where any is left."""
        distinct = dict.fromkeys(map(tuple, rows.tolist()))
        told, pending = self.ledger.told, self.ledger.pending
        new = [row for row in distinct if row not in told and row not in pending]
        return self._codes.rows(new or list(distinct))

    def _gains(self, rows: Rows, view: _View) -> Losses:
        means, deviations = view.models.predict(self._featuriser(rows), self._known_losses(rows))
        return expected_improvement(means, deviations, view.front, view.worst)

    def _known_losses(self, rows: Rows) -> Losses:
        losses = np.zeros((len(rows), len(self.objectives.names)))
        for column, (name, direction) in enumerate(self.objectives.directions.items()):
            if self.ledger.knows(name):
                values = [self.ledger.value(name, tuple(row)) for row in rows.tolist()]
                losses[:, column] = SIGNS[direction] * np.array(values)
        return on_scales(
            [own if isinstance(own, Scale) else Scale(0, 1, is_log=False) for own in self._fitted],
            losses,
        )


@dataclass(frozen=True)
class _View:
    """Models, and the front with its candidates, on the models' scales. worst: the reference of
    the hypervolume."""

    models: LossModels
    parents: Rows
    front: Losses
    worst: Losses


def representative(trials: list[Trial], count: int) -> list[Trial]:
    """So many of the trials, in their order: two thirds the best by the crowded comparison, the
    others evenly from the rest."""
    best, _ = survivors(trials, count * 2 // 3)
    numbers = {trial.number for trial in best}
    rest = [trial for trial in trials if trial.number not in numbers]
    places = np.linspace(0, len(rest) - 1, count - len(best)).astype(int)
    return sorted(best + [rest[place] for place in places], key=lambda trial: trial.number)
