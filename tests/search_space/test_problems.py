"""The problems on which strategies are compared."""

import numpy as np
import pytest

from search_space.problems import conditional, epistatic


@pytest.mark.parametrize("make", [epistatic, conditional])
def test_scores_are_within_the_reference_and_depend_on_the_seed_alone(make):
    problem, same, other = make(seed=1), make(seed=1), make(seed=2)
    rng = np.random.default_rng(0)
    candidates = [problem.space.sample(rng) for _ in range(200)]
    scores = [problem.score(candidate) for candidate in candidates]
    assert scores == [same.score(candidate) for candidate in candidates]
    assert scores != [other.score(candidate) for candidate in candidates]
    for score in scores:
        assert problem.reference["accuracy"] <= score["accuracy"] <= 100
        assert 0 < score["macs"] <= problem.reference["macs"]


def test_no_decision_can_be_made_alone():
    problem = epistatic()
    tangled = 0
    for position in range(1, len(problem.space)):
        best = set()
        for before in range(4):
            candidate = [0] * len(problem.space)
            candidate[position - 1] = before
            accuracies = []
            for own in range(4):
                candidate[position] = own
                accuracies.append(problem.score(tuple(candidate))["accuracy"])
            best.add(int(np.argmax(accuracies)))
        tangled += len(best) > 1
    assert tangled > len(problem.space) / 2
