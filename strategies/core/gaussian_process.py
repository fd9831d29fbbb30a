"""A Gaussian process over categorical features, its lengthscales fitted by maximum a posteriori.

k(x, x') = s² exp(-Σ_g w_g d_g(x, x')): a product over aspects g of exponential kernels of their
distance d_g, which for a plain decision is the Hamming kernel (as in COMBO's relatives: Ru et al.
2020, arXiv 1906.08878, equation 3; Rasmussen and Williams 2006, chapters 2 and 5). All orders of
interaction are in it; small weights w make it nearly additive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.linalg.blas import strsm
from scipy.optimize import minimize

Array = NDArray[np.float64]

ITERATIONS = 40
WEIGHT_SPREAD = 1.5  # standard deviation of the log weights around their mean
NOISE_MEAN, NOISE_SPREAD = np.log(1e-2), 2.0  # of the log noise, as a share of s²


@dataclass(frozen=True)
class Hyperparameters:
    """weights: w, one a column. noise: variance as a share of s². loss: negative log posterior of
    the standardised targets, but for constants."""

    weights: Array
    noise: float
    loss: float


def fit(features: Array, groups: NDArray[np.int64], targets: Array) -> Hyperparameters:
    """Weights and noise that are most probable given standardised targets.

    s² is integrated out at its best value; log weights are normal around a mean that is fitted
    too, so that few data leave them alike.
    """
    count = int(groups.max(initial=0)) + 1
    start = np.concatenate([[np.log(1.5 / count)], np.zeros(count), [NOISE_MEAN]])
    bounds = [(-12.0, 4.0)] + [(-8.0, 8.0)] * count + [(np.log(1e-6), np.log(2.0))]
    found = minimize(
        _loss,
        start,
        (features, groups, targets),
        "L-BFGS-B",
        True,
        bounds=bounds,
        options={"maxiter": ITERATIONS},
    )
    weights = np.exp(found.x[0] + found.x[1:-1])[groups]
    return Hyperparameters(weights, float(np.exp(found.x[-1])), float(found.fun))


def _loss(
    point: Array, features: Array, groups: NDArray[np.int64], targets: Array
) -> tuple[float, Array]:
    """Negative log posterior and its gradient (Rasmussen and Williams, equation 5.9)."""
    mean, offsets, log_noise = point[0], point[1:-1], point[-1]
    weights, noise = np.exp(mean + offsets)[groups], np.exp(log_noise)
    total = len(targets)
    kernel = correlation(features, features, weights)
    factor = cho_factor(kernel + noise * np.eye(total), lower=True, check_finite=False)
    inverse = cho_solve(factor, np.eye(total), check_finite=False)
    alpha = inverse @ targets
    fit_term = max(float(targets @ alpha), 1e-300)
    loss = 0.5 * total * np.log(fit_term / total) + np.log(np.diag(factor[0])).sum()
    slope = 0.5 * (inverse - total * np.outer(alpha, alpha) / fit_term)
    by_distance = slope * kernel
    sums = by_distance.sum(axis=1)
    # distance of binary columns of height h: h (a + b) - 2 a b, with a, b in {0, h}, over h
    heights = np.maximum(features.max(axis=0), 1e-12)
    by_column = (
        2 * (features.T @ sums)
        - 2 * np.einsum("if,if->f", features, by_distance @ features) / heights
    )
    by_weight = -np.bincount(groups, by_column * weights, minlength=len(offsets))
    prior = 0.5 * (offsets @ offsets) / WEIGHT_SPREAD**2
    prior += 0.5 * (mean - np.log(1.5 / len(offsets))) ** 2 / 1.5**2
    prior += 0.5 * (log_noise - NOISE_MEAN) ** 2 / NOISE_SPREAD**2
    gradient = np.concatenate(
        [
            [by_weight.sum() + (mean - np.log(1.5 / len(offsets))) / 1.5**2],
            by_weight + offsets / WEIGHT_SPREAD**2,
            [np.trace(slope) * noise + (log_noise - NOISE_MEAN) / NOISE_SPREAD**2],
        ]
    )
    return float(loss + prior), gradient


def correlation(first: Array, second: Array, weights: Array) -> Array:
    """exp(-weighted distance) between rows of features."""
    heights = np.maximum(np.maximum(first.max(axis=0), second.max(axis=0)), 1e-12)
    scaled = weights / heights
    crossed = (first * scaled) @ second.T
    crossed *= 2
    crossed -= (first @ weights)[:, None]
    crossed -= second @ weights
    return np.asarray(np.exp(np.minimum(crossed, 0.0, out=crossed), out=crossed))


class GaussianProcess:
    """Conditioned on targets in their own units; standardised inside. `extended` takes more."""

    def __init__(self, features: Array, targets: Array, fitted: Hyperparameters) -> None:
        kernel = _with_noise(correlation(features, features, fitted.weights), fitted)
        self._condition(features, targets, fitted, _cholesky(kernel))

    def extended(self, features: Array, targets: Array) -> GaussianProcess:
        """Conditioned on so much more. The factor is extended by a block (Golub and Van Loan 2013,
        "Matrix Computations", section 4.2.9), which for few rows is far cheaper than a new one."""
        weights, old = self._fitted.weights, len(self._targets)
        crossed = correlation(self._features, features, weights)
        below = solve_triangular(self._factor, crossed, lower=True, check_finite=False)
        kernel = _with_noise(correlation(features, features, weights), self._fitted)
        factor = np.zeros((old + len(features),) * 2, order="F")
        factor[:old, :old], factor[old:, :old] = self._factor, below.T
        factor[old:, old:] = _cholesky(kernel - below.T @ below)
        whole = object.__new__(GaussianProcess)
        whole._condition(
            np.concatenate([self._features, features]),
            np.concatenate([self._targets, targets]),
            self._fitted,
            factor,
        )
        return whole

    def _condition(
        self, features: Array, targets: Array, fitted: Hyperparameters, factor: Array
    ) -> None:
        self._features, self._targets, self._fitted = features, targets, fitted
        self._factor = factor
        both = np.stack([np.ones(len(targets)), targets], axis=1)
        ones, solved = cho_solve((factor, True), both, check_finite=False).T
        self._mean = float(ones @ targets / ones.sum())
        self._alpha = solved - self._mean * ones
        explained = (targets - self._mean) @ self._alpha
        self._scale = float(np.sqrt(max(explained / len(targets), 1e-300)))

    @cached_property
    def _single(self) -> NDArray[np.float32]:
        """The factor; deviations need no more digits."""
        return self._factor.astype(np.float32, order="F")

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the function (without noise)."""
        crossed = correlation(features, self._features, self._fitted.weights)
        mean = self._mean + crossed @ self._alpha
        projected = strsm(1.0, self._single, crossed.astype(np.float32).T, lower=1)
        explained = np.einsum("ij,ij->j", projected, projected).astype(np.float64)
        return mean, self._scale * np.sqrt(np.maximum(1 - explained, 1e-7))

    def means(self, features: Array) -> Array:
        """The mean alone."""
        crossed = correlation(features, self._features, self._fitted.weights)
        return np.asarray(self._mean + crossed @ self._alpha)


def _with_noise(kernel: Array, fitted: Hyperparameters) -> Array:
    kernel[np.diag_indices_from(kernel)] += fitted.noise + 1e-9
    return kernel


def _cholesky(kernel: Array) -> Array:
    """The lower factor, zeros above it."""
    return np.asarray(cholesky(kernel, lower=True, check_finite=False))
