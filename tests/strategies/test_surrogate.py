"""What the surrogate does with known objectives and pending candidates; random search by cost."""

import numpy as np
from measures import hypervolume, make, run

from search_space.problems import conditional, epistatic
from strategies import Trial
from strategies.core.selection import losses_of
from strategies.surrogate import representative

PROBLEM = epistatic()


def macs(candidate):
    return PROBLEM.score(candidate)["macs"]


def test_it_holds_at_60_what_random_search_lacks_at_600():
    problem = conditional()
    strategy, null = make("surrogate", problem), make("random_search", problem)
    run(strategy, problem.score, 60)
    run(null, problem.score, 600)
    assert hypervolume(strategy, problem) > hypervolume(null, problem)


def test_a_known_objective_is_not_guessed():
    """Where accuracy is the same for all, the cheapest network is the first that a model asks
    for: nothing but its cost, known exactly, promises anything."""
    strategy = make("surrogate", PROBLEM, known={"macs": macs}, initial=5)
    asked = run(strategy, lambda candidate: {"accuracy": 50.0}, 25)
    costs = [macs(candidate) for candidate in asked]
    assert min(costs[5:12]) < min(costs[:5])
    assert min(costs) == 20  # all first options


def test_what_is_pending_is_not_asked_for_again_nor_its_like():
    """Eight asks at once spread: their gains don't count one another's."""
    strategy = make("surrogate", PROBLEM)
    run(strategy, PROBLEM.score, 40)
    together = [strategy.ask() for _ in range(8)]
    scores = np.array([[PROBLEM.score(c)["accuracy"], macs(c)] for c in together])
    assert len(set(together)) == 8
    assert len(np.unique(scores[:, 1])) >= 4


def test_what_is_kept_of_a_long_history_has_the_front():
    rng = np.random.default_rng(0)
    trials = [Trial(n, (n,), {}, tuple(row)) for n, row in enumerate(rng.random((600, 2)))]
    kept = representative(trials, 200)
    losses, all_losses = losses_of(kept), losses_of(trials)
    assert len({trial.number for trial in kept}) == 200
    assert [t.number for t in kept] == sorted(t.number for t in kept)
    assert losses.min(axis=0).tolist() == all_losses.min(axis=0).tolist()
    assert losses.max() > 0.9


def test_random_search_over_cost_is_as_often_at_its_ends_as_in_its_middle():
    spread = make("random_search", PROBLEM, known={"macs": macs}, uniform_over="macs")
    plain = make("random_search", PROBLEM)
    thirds = []
    for strategy in (spread, plain):
        costs = [macs(candidate) for candidate in run(strategy, PROBLEM.score, 240)]
        thirds.append(np.histogram(costs, bins=(20, 40, 60, 81))[0] / 240)
    assert thirds[0].min() > 0.24
    assert thirds[1][[0, 2]].max() < 0.06
