"""What the losses of candidates will be: exact where they are known before training, and where
not a Gaussian process each, on a scale that suits it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.core.features import Features
from strategies.core.gaussian_process import GaussianProcess, Hyperparameters, fit
from strategies.core.pareto import Losses

Column = Callable[[Losses], Losses]


@dataclass(frozen=True)
class Scale:
    """A loss as it is (is_log false), or with what is worse than `best` so far compressed to its
    logarithm, in units of the median's distance: a few bad networks then don't drown the rest."""

    best: float
    unit: float
    is_log: bool

    def __call__(self, losses: Losses) -> Losses:
        """The losses on this scale; increasing, with slope 1 at `best`."""
        steps = (losses - self.best) / self.unit
        if not self.is_log:
            return np.asarray(steps)
        return np.asarray(np.where(steps > 0, np.log1p(np.maximum(steps, 0)), steps))

    def log_slopes(self, losses: Losses) -> float:
        """The sum of the logarithms of its slopes at the losses, to compare likelihoods."""
        steps = np.maximum((losses - self.best) / self.unit, 0)
        return -float(np.log1p(steps).sum()) if self.is_log else 0.0


@dataclass(frozen=True)
class Fitted:
    """A scale, and the hyperparameters of a Gaussian process on it."""

    scale: Scale
    hyperparameters: Hyperparameters


def fit_loss(features: Features, groups: NDArray[np.int64], losses: Losses) -> Fitted:
    """The scale under which the losses are the more probable (Snelson et al. 2004, "Warped
    Gaussian Processes", equation 4), with its hyperparameters."""
    best = float(losses.min())
    unit = max(float(np.median(losses)) - best, 1e-9 * max(1.0, abs(best)))
    found = []
    for is_log in (False, True):
        scale = Scale(best, unit, is_log)
        scaled = scale(losses)
        deviation = max(float(scaled.std()), 1e-12)
        fitted = fit(features, groups, (scaled - scaled.mean()) / deviation)
        improbable = fitted.loss + len(losses) * np.log(deviation) - scale.log_slopes(losses)
        found.append((improbable, Fitted(scale, fitted)))
    return min(found, key=lambda pair: pair[0])[1]


class LossModels:
    """Conditioned on trials. All losses go in and come out on the scales of `fitted`.

    fitted: for each objective what was fitted, or the scale alone where its losses are known.
    """

    def __init__(
        self,
        fitted: Sequence[Fitted | Scale],
        features: Features,
        losses: Losses,
    ) -> None:
        self._processes = [
            GaussianProcess(features, column, own.hyperparameters)
            if isinstance(own, Fitted)
            else None
            for own, column in zip(fitted, losses.T, strict=True)
        ]

    def predict(self, features: Features, known: Losses) -> tuple[Losses, Losses]:
        """Means and standard deviations. known: the losses that need no model, anything
        elsewhere."""
        means, deviations = known.copy(), np.full(known.shape, 1e-9)
        for column, process in enumerate(self._processes):
            if process is not None:
                means[:, column], deviations[:, column] = process.predict(features)
        return means, np.maximum(deviations, 1e-9)

    def means(self, features: Features, known: Losses) -> Losses:
        """The means alone."""
        means = known.copy()
        for column, process in enumerate(self._processes):
            if process is not None:
                means[:, column] = process.means(features)
        return means

    def extended(self, features: Features, losses: Losses) -> LossModels:
        """The models as they are when these losses are told too. Of pending candidates with the
        losses expected of them: the kriging believer of Ginsbourger et al. 2010, "Kriging Is
        Well-Suited to Parallelize Optimization"."""
        more = object.__new__(LossModels)
        more._processes = [
            None if process is None else process.extended(features, column)
            for process, column in zip(self._processes, losses.T, strict=True)
        ]
        return more


def on_scales(fitted: Sequence[Fitted | Scale], losses: Losses) -> Losses:
    """Losses as the models see them."""
    scales = [own.scale if isinstance(own, Fitted) else own for own in fitted]
    columns = [scale(column) for scale, column in zip(scales, losses.T, strict=True)]
    return np.stack(columns, axis=1)
