"""The surrogate's parts against the definitions: candidates as arrays, features, the Gaussian
process, expected improvement."""

import moocore
import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import spearmanr

from search_space import SE, Decision, SearchSpace, load
from search_space.problems import conditional, epistatic
from strategies.core import gaussian_process
from strategies.core.codes import Codes
from strategies.core.features import Featuriser
from strategies.core.gaussian_process import GaussianProcess, fit
from strategies.core.improvement import expected_improvement
from strategies.core.loss_models import fit_loss
from strategies.core.unseen import all_candidates

SPACES = [conditional().space, epistatic().space, load("cifar_mobile")]


def candidates(rows):
    return [tuple(row) for row in rows.tolist()]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_rows_are_normalised_candidates_as_the_space_has_them(space):
    codes, rng = Codes(space), np.random.default_rng(0)
    first, second = codes.sample(200, rng), codes.sample(200, rng)
    active = codes.active(first)
    mutants = codes.mutate(first, np.ones(200, dtype=int), rng)
    children = codes.cross(first, second, rng)
    for rows in (first, mutants, children):
        assert all(space.normalise(candidate) == candidate for candidate in candidates(rows))
    for candidate, mask in zip(candidates(first), active, strict=True):
        assert [space.is_active(candidate, place) for place in range(len(space))] == mask.tolist()


def test_a_mutant_differs_in_one_decision_and_what_that_switches_on():
    space = conditional().space
    codes, rng = Codes(space), np.random.default_rng(1)
    rows = codes.sample(300, rng)
    mutants = codes.mutate(rows, np.ones(300, dtype=int), rng)
    both = codes.active(rows) & codes.active(mutants)
    assert (((rows != mutants) & both).sum(axis=1) == 1).all()


def test_every_option_is_reached_by_mutation_as_often():
    codes = Codes(SearchSpace.from_choices({"a": range(5)}))
    rows = np.zeros((4000, 1), dtype=int)
    drawn = codes.mutate(rows, np.ones(4000, dtype=int), np.random.default_rng(0))
    assert np.bincount(drawn[:, 0], minlength=5) == pytest.approx(
        [0, 1000, 1000, 1000, 1000], abs=99
    )


def test_a_child_has_every_gene_from_a_parent():
    codes, rng = Codes(epistatic().space), np.random.default_rng(2)
    first, second = codes.sample(100, rng), codes.sample(100, rng)
    child = codes.cross(first, second, rng)
    assert ((child == first) | (child == second)).all()
    apart = first != second
    assert np.mean((child == second)[apart]) == pytest.approx(0.5, abs=0.05)


def test_distances_know_order_and_fields():
    se = (None, SE(r=4), SE(r=8), SE(r=16), SE(r=4, placement="pre"))
    space = SearchSpace("s", (Decision("k", (3, 5, 7)), Decision("se", se)))
    feature = Featuriser(space)
    rows = Codes(space).rows(list(all_candidates(space)))
    features = feature(rows)
    groups = feature.groups

    def distance(first, second, group):
        a, b = (features[candidates(rows).index(c)] for c in (first, second))
        return np.abs(a - b)[groups == group].sum()

    assert [distance((0, 0), (other, 0), 0) for other in (0, 1, 2)] == [0, 1, 1]
    assert [distance((0, 0), (other, 0), 1) for other in (0, 1, 2)] == pytest.approx([0, 0.5, 1])
    by_field = {
        tuple(round(distance((0, 1), (0, other), group), 3) for other in (1, 2, 3, 4))
        for group in range(2, groups.max() + 1)
    }
    assert (0, 0.5, 1, 0) in by_field  # r, by rank
    assert (0, 0, 0, 1) in by_field  # placement
    assert (0, 1, 1, 1) in by_field  # the option itself


def sampled(space, count, seed=0):
    rows = Codes(space).sample(count, np.random.default_rng(seed))
    feature = Featuriser(space)
    return candidates(rows), feature(rows), feature.groups


def test_the_kernel_and_the_posterior_are_the_books():
    space = conditional().space
    _, features, groups = sampled(space, 40)
    targets = np.random.default_rng(1).normal(size=40)
    fitted = fit(features, groups, targets)
    distance = np.abs(features[:, None] - features[None]) @ fitted.weights
    kernel = np.exp(-distance)
    np.testing.assert_allclose(
        gaussian_process.correlation(features, features, fitted.weights), kernel, atol=1e-9
    )
    known, asked = slice(0, 30), slice(30, 40)
    process = GaussianProcess(features[known], targets[known], fitted)
    noisy = kernel[known, known] + (fitted.noise + 1e-9) * np.eye(30)
    inverse = np.linalg.inv(noisy)
    mean = (inverse @ targets[known]).sum() / inverse.sum()
    scale = (targets[known] - mean) @ inverse @ (targets[known] - mean) / 30
    means, deviations = process.predict(features[asked])
    crossed = kernel[asked, known]
    np.testing.assert_allclose(means, mean + crossed @ inverse @ (targets[known] - mean), rtol=1e-6)
    variance = scale * (1 - np.einsum("ij,jk,ik->i", crossed, inverse, crossed))
    np.testing.assert_allclose(deviations, np.sqrt(variance), rtol=1e-3)


def test_the_gradient_of_the_posterior_is_its_slope():
    _, features, groups = sampled(conditional().space, 30)
    targets = np.random.default_rng(1).normal(size=30)
    point = np.random.default_rng(2).normal(-1, 0.5, size=groups.max() + 3)

    def part(number):
        return lambda x: gaussian_process._loss(x, features, groups, targets)[number]

    assert check_grad(part(0), part(1), point) < 1e-4 * np.linalg.norm(part(1)(point))


@pytest.mark.parametrize("problem", [epistatic(), conditional()], ids=["epistatic", "conditional"])
def test_it_predicts_what_it_has_not_seen(problem):
    found, features, groups = sampled(problem.space, 300)
    accuracy = np.array([problem.score(candidate)["accuracy"] for candidate in found])
    targets = (accuracy - accuracy[:200].mean()) / accuracy[:200].std()
    process = GaussianProcess(
        features[:200], targets[:200], fit(features[:200], groups, targets[:200])
    )
    means, deviations = process.predict(features[200:])
    assert spearmanr(means, targets[200:])[0] > 0.55
    assert 0.6 < np.std((means - targets[200:]) / deviations) < 1.6


def test_the_scale_is_the_more_probable():
    found, features, groups = sampled(epistatic().space, 120)
    plain = np.array(found).sum(axis=1).astype(float)
    assert not fit_loss(features, groups, plain).scale.is_log
    assert fit_loss(features, groups, np.exp(plain / 3)).scale.is_log


def test_equal_losses_are_no_obstacle():
    _, features, groups = sampled(epistatic().space, 20)
    fitted = fit_loss(features, groups, np.full(20, 7.0))
    process = GaussianProcess(features, fitted.scale(np.full(20, 7.0)), fitted.hyperparameters)
    assert np.isfinite(process.predict(features)).all()


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_expected_improvement_is_the_mean_of_improvements(objectives):
    """By simulation: hypervolumes of the front with and without normal draws of the candidate.
    Three objectives come from a few directions, so only their order is compared."""
    rng = np.random.default_rng(0)
    points = rng.random((30, objectives))
    front = moocore.filter_dominated(points) if objectives > 1 else points.min(keepdims=True)
    worst = np.full(objectives, 1.1)
    means = rng.random((12, objectives))
    deviations = rng.uniform(0.02, 0.3, size=means.shape)

    def volume(losses):
        if objectives == 1:
            return worst[0] - losses.min()
        return moocore.hypervolume(losses, ref=worst)

    simulated = np.zeros(len(means))
    for number in range(len(means)):
        draws = means[number] + deviations[number] * rng.normal(size=(2000, objectives))
        gains = [volume(np.vstack([front, draw])) - volume(front) for draw in draws]
        simulated[number] = np.mean(gains)
    expected = expected_improvement(means, deviations, front, worst)
    if objectives < 3:
        np.testing.assert_allclose(expected, simulated, rtol=0.12, atol=2e-3)
    else:
        assert spearmanr(expected, simulated)[0] > 0.85
