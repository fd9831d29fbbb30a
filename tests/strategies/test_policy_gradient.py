"""The controller's reward and its gradient."""

import numpy as np
import pytest

from search_space import SearchSpace
from strategies import Objectives, Trial
from strategies.policy_gradient import Strategy

SPACE = SearchSpace.from_choices({"a": [0, 1, 2], "b": [0, 1]})
BOTH = Objectives({"accuracy": "max", "macs": "min"})


def trained(losses_of, goals=BOTH, count=400, **settings):
    strategy = Strategy(SPACE, goals, **settings)
    rng = np.random.default_rng(0)
    for number in range(count):
        candidate = strategy.propose(rng)
        strategy.learn(Trial(number, candidate, {}, losses_of(candidate)))
    return [strategy.propose(rng) for _ in range(200)]


def test_it_comes_to_propose_what_is_rewarded():
    proposed = trained(lambda c: (-(c[0] == 1) - (c[1] == 1),), Objectives({"accuracy": "max"}))
    assert np.mean([candidate == (1, 1) for candidate in proposed]) > 0.9


@pytest.mark.parametrize(("exponent", "best"), [(-0.07, 2), (-1.5, 0)])
def test_a_target_trades_accuracy_for_cost_by_the_exponent(exponent, best):
    """accuracy 50, 60, 70 at cost 1, 2, 4: 70 (4/2)^-0.07 = 66.7 is the most of the three, but
    with -1.5 it is 50 (1/2)^-1.5 = 141."""
    proposed = trained(
        lambda c: (-(50.0 + 10 * c[0]), float(2 ** c[0])), target=2.0, exponent=exponent
    )
    assert np.mean([candidate[0] == best for candidate in proposed]) > 0.8


def test_without_a_target_both_ends_of_the_front_are_proposed():
    proposed = trained(lambda c: (-float(c[0]), float(c[0])))
    ends = [np.mean([candidate[0] == end for candidate in proposed]) for end in (0, 2)]
    assert min(ends) > 0.25


def test_one_step_is_the_gradient_of_the_log_probability():
    """Of two rewards, -1 and 1 standardised, the second moves the logits by learning rate times
    advantage times (one-hot - softmax)."""
    strategy = Strategy(
        SPACE,
        Objectives({"accuracy": "max"}),
        learning_rate=0.1,
        entropy=0.0,
        baseline_decay=1.0,
    )
    strategy.learn(Trial(0, (0, 0), {}, (0.0,)))  # no spread yet: no advantage
    assert np.allclose(strategy._logits, 0)
    strategy.learn(Trial(1, (2, 1), {}, (-5.0,)))
    expected = [-1 / 3, -1 / 3, 2 / 3, -1 / 2, 1 / 2]
    assert strategy._logits[0] == pytest.approx(0.1 * np.array(expected))
