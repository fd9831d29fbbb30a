"""What every strategy promises, found by name: a new file in `strategies/` is tested here."""

import heapq
import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from measures import hypervolume, make, run

from search_space import Decision, SearchSpace
from search_space.problems import conditional, epistatic
from strategies import make_strategy, strategy_names, strategy_settings

PROBLEMS = {"epistatic": epistatic(), "conditional": conditional()}
TRIALS = 120  # several generations of the populations below
SLOW = {"surrogate": 45, "optuna_sampler": 45}  # trials, where a proposal takes milliseconds
BUDGETS = {"surrogate": 100}  # for what is better than random search
SMALL = {"population_size": 20, "sample_size": 5, "pool": 50, "sampler": "NSGAIISampler"}

TINY = SearchSpace(
    "tiny",
    (
        Decision("depth", (1, 2, 3)),
        Decision("first", ("a", "b")),
        Decision("second", ("a", "b", "c"), when={"depth": [2, 3]}),
        Decision("third", ("a", "b"), when={"depth": [3], "second": ["a", "c"]}),
    ),
)
TWINS = replace(TINY, identify=lambda choices: repr({**choices, "first": None}))
TINY_SIZE = 2 * (1 + 3 + (2 + 1 + 2))

pytestmark = pytest.mark.parametrize("name", strategy_names())
each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def small(name):
    return {key: value for key, value in SMALL.items() if key in strategy_settings(name)}


def trials(name):
    return SLOW.get(name, TRIALS)


@each_problem
def test_candidates_are_valid_and_distinct(name, problem):
    asked = run(make(name, problem, **small(name)), problem.score, trials(name))
    assert len(set(asked)) == trials(name)
    assert all(problem.space.normalise(candidate) == candidate for candidate in asked)


@each_problem
def test_the_seed_decides_and_nothing_else(name, problem):
    random.seed(1)
    np.random.seed(1)
    first = run(make(name, problem, seed=3, **small(name)), problem.score, trials(name))
    random.seed(2)
    np.random.seed(2)
    assert run(make(name, problem, seed=3, **small(name)), problem.score, trials(name)) == first
    assert run(make(name, problem, seed=4, **small(name)), problem.score, trials(name)) != first


@each_problem
@pytest.mark.parametrize("share", [0, 1 / 6, 1 / 2, 1])
def test_resumed_is_never_stopped(name, problem, share):
    cut = 1 + int(share * (trials(name) - 2))

    def score(candidate):
        return None if sum(candidate) % 7 == 0 else problem.score(candidate)

    whole = make(name, problem, seed=5, **small(name))
    asked = run(whole, score, trials(name))
    resumed = make(name, problem, seed=5, **small(name))
    for candidate in asked[:cut]:
        resumed.tell(candidate, score(candidate))
    assert resumed.number == cut
    assert run(resumed, score, trials(name) - cut) == asked[cut:]
    assert resumed.trials == whole.trials
    assert resumed.front() == whole.front()


def family(strategy, score, trials):
    """Candidates with the parents that they were asked for with."""
    found = []
    for _ in range(trials):
        candidate = strategy.ask()
        found.append((candidate, strategy.parents(candidate)))
        strategy.tell(candidate, score(candidate))
    return found


def test_parents_were_told_before_and_resumed_are_the_same(name):
    problem = PROBLEMS["conditional"]
    whole = family(make(name, problem, seed=5, **small(name)), problem.score, trials(name))
    told = set()
    for candidate, parents in whole:
        assert set(parents) <= told
        told.add(candidate)
    with_parents = sum(bool(parents) for _, parents in whole)
    if name in ("nsga2", "regularized_evolution", "lamarckian"):
        assert with_parents >= trials(name) - SMALL["population_size"]
        assert whole[0][1] == ()
    cut = trials(name) // 2
    resumed = make(name, problem, seed=5, **small(name))
    for candidate, _ in whole[:cut]:
        resumed.tell(candidate, problem.score(candidate))
    assert family(resumed, problem.score, trials(name) - cut) == whole[cut:]


def test_with_many_workers_the_record_is_the_state(name):
    problem = PROBLEMS["conditional"]
    old = make(name, problem, **small(name))
    rng = np.random.default_rng(0)
    arrived = []
    for _ in range(trials(name)):
        while len(old.pending) < 8:
            old.ask()
        candidate = old.pending[int(rng.integers(8))]
        old.tell(candidate, problem.score(candidate))
        arrived.append(candidate)
    first, second = (make(name, problem, **small(name)) for _ in range(2))
    for candidate in arrived:
        first.tell(candidate, problem.score(candidate))
        second.tell(list(candidate), problem.score(candidate))
    assert first.trials == second.trials == old.trials
    assert first.front() == old.front()
    assert run(first, problem.score, 10) == run(second, problem.score, 10)


def test_asking_changes_nothing_that_was_learned(name):
    problem = PROBLEMS["epistatic"]
    asks_ahead, asks_once = (make(name, problem, **small(name)) for _ in range(2))
    for candidate in run(asks_once, problem.score, trials(name)):
        asks_ahead.tell(candidate, problem.score(candidate))
    ahead = [asks_ahead.ask() for _ in range(30)]
    assert asks_ahead.pending == tuple(ahead)
    assert asks_ahead.number == trials(name) + 30
    assert asks_ahead.front() == asks_once.front()
    assert asks_once.ask() == ahead[0]


def test_many_asks_before_the_first_tell_have_no_duplicates(name):
    problem = PROBLEMS["conditional"]
    strategy = make(name, problem, **small(name))
    asked = [strategy.ask() for _ in range(300)]
    assert len(set(asked)) == 300
    for candidate in reversed(asked):
        strategy.tell(candidate, problem.score(candidate))
    assert strategy.ask() not in asked


def test_failed_trials_are_paid_for_once(name):
    problem = PROBLEMS["epistatic"]
    strategy = make(name, problem, **small(name))
    asked = []
    for number in range(trials(name)):
        asked.append(strategy.ask())
        strategy.tell(asked[-1], None if number % 3 else problem.score(asked[-1]))
    assert len(set(asked)) == trials(name)
    succeeded = set(asked[::3])
    assert {candidate for candidate, _ in strategy.front()} <= succeeded
    assert [trial.scores is None for trial in strategy.trials] == [
        n % 3 != 0 for n in range(trials(name))
    ]


def test_where_every_trial_fails_it_goes_on(name):
    strategy = make(name, PROBLEMS["conditional"], **small(name))
    assert len(set(run(strategy, lambda _: None, trials(name)))) == trials(name)
    assert strategy.front() == []


@each_problem
@pytest.mark.parametrize("share", [(0.0, 0.35), (0.5, 0.55)])
def test_limits_are_honoured(name, problem, share):
    least, most = (x * problem.reference["macs"] for x in share)

    def macs(candidate):
        return problem.score(candidate)["macs"]

    strategy = make(
        name, problem, known={"macs": macs}, limits={"macs": (least, most)}, **small(name)
    )
    asked = run(strategy, problem.score, trials(name) // 2)
    assert len(asked) == trials(name) // 2
    assert all(least <= macs(candidate) <= most for candidate in asked)


def test_a_tiny_space_is_used_up_candidate_by_candidate(name):
    strategy = make_strategy(name, TINY, {"accuracy": "max"})
    asked = run(strategy, lambda candidate: {"accuracy": sum(candidate)}, 1000)
    assert len(asked) == len(set(asked)) == TINY_SIZE == TINY.size()
    assert strategy.ask() is None
    assert strategy.exhausted


def test_a_tiny_space_is_used_up_by_workers_that_never_answer(name):
    strategy = make_strategy(name, TINY, {"accuracy": "max", "macs": "min"})
    asked = [strategy.ask() for _ in range(TINY_SIZE)]
    assert not strategy.exhausted
    assert len(set(asked)) == TINY_SIZE
    assert strategy.ask() is None
    assert strategy.exhausted


def test_of_twins_one_is_proposed_pending_or_told_or_failed(name):
    pending = make_strategy(name, TWINS, {"accuracy": "max"})
    told = make_strategy(name, TWINS, {"accuracy": "max"}, **small(name))
    asked = [pending.ask() for _ in range(TINY_SIZE // 2)]
    assert pending.ask() is None
    assert pending.exhausted
    also = run(told, lambda c: {"accuracy": sum(c)} if sum(c) % 3 else None, 1000)
    for found in (asked, also):
        assert len({TWINS.key(candidate) for candidate in found}) == len(found) == TINY_SIZE // 2


@pytest.mark.parametrize("cut", [1, 30])
def test_where_there_are_twins_resumed_is_never_stopped(name, cut):
    plain = PROBLEMS["epistatic"]
    space = replace(plain.space, identify=lambda choices: tuple(choices.values())[:-8])
    problem = replace(plain, space=space)
    asked = run(make(name, problem, seed=5, **small(name)), problem.score, trials(name))
    assert len({space.key(candidate) for candidate in asked}) == trials(name)
    resumed = make(name, problem, seed=5, **small(name))
    for candidate in asked[:cut]:
        resumed.tell(candidate, problem.score(candidate))
    assert run(resumed, problem.score, trials(name) - cut) == asked[cut:]


@pytest.mark.parametrize("direction", ["max", "min"])
def test_one_objective_has_the_best_as_its_front(name, direction):
    problem = PROBLEMS["epistatic"]
    strategy = make_strategy(name, problem.space, {"accuracy": direction}, **small(name))
    asked = run(strategy, problem.score, trials(name))
    accuracies = [problem.score(candidate)["accuracy"] for candidate in asked]
    best = max(accuracies) if direction == "max" else min(accuracies)
    assert [scores["accuracy"] for _, scores in strategy.front()] == [best]


def test_three_objectives(name):
    problem = PROBLEMS["epistatic"]

    def score(candidate):
        return {**problem.score(candidate), "latency": float(max(candidate[::3]))}

    objectives = {**problem.objectives, "latency": "min"}
    strategy = make_strategy(name, problem.space, objectives, **small(name))
    assert len(run(strategy, score, trials(name))) == trials(name)
    assert 1 <= len(strategy.front()) <= trials(name)


@cache
def found(name, problem_name, seed, budget):
    problem = PROBLEMS[problem_name]
    strategy = make(name, problem, seed=seed, **small(name))
    run(strategy, problem.score, budget)
    return hypervolume(strategy, problem)


@pytest.mark.parametrize("problem_name", PROBLEMS)
def test_better_than_random(name, problem_name):
    if name == "random_search":
        pytest.skip("the null model")
    if name == "optuna_sampler":
        pytest.skip("how good they are is Optuna's to say; test_optuna_sampler.py has the adapter")
    budget = BUDGETS.get(name, 500)
    own, null = (
        np.array([found(n, problem_name, s, budget) for s in range(4)])
        for n in (name, "random_search")
    )
    spread = np.hypot(own.std(ddof=1), null.std(ddof=1)) / 2  # standard error of the difference
    assert own.mean() - null.mean() > 2 * spread
    assert own.mean() > 1.05 * null.mean()


class Clock:
    """Workers as a discrete-event simulation: who is free asks at once, and is busy for as long as
    its training takes, log-normal around one second."""

    def __init__(self, strategy, score, workers):
        self.strategy, self.score, self.now = strategy, score, 0.0
        self.rng = np.random.default_rng(0)
        self.busy = []
        for _ in range(workers):
            self.start()

    def start(self):
        candidate = self.strategy.ask()
        assert candidate is not None
        seconds = self.rng.lognormal(0, 0.5)
        heapq.heappush(self.busy, (self.now + seconds, candidate))

    def finish(self):
        self.now, candidate = heapq.heappop(self.busy)
        self.strategy.tell(candidate, self.score(candidate))
        return candidate


def test_a_thousand_workers_are_never_left_without_a_candidate(name):
    """None of them waits: each that finishes has its next candidate before anything else
    finishes, and nothing is trained twice."""
    problem = PROBLEMS["epistatic"]
    strategy = make(name, problem, **small(name))
    clock = Clock(strategy, problem.score, 1000)
    finished = []
    for _ in range(2 * trials(name)):
        finished.append(clock.finish())
        clock.start()
        assert len(strategy.pending) == len(clock.busy) == 1000
    assert len(set(finished) | set(strategy.pending)) == 1000 + len(finished)
    assert strategy.number == 1000 + len(finished)
