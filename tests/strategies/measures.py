"""How tests run a strategy on a problem, and how good what it found is."""

import moocore
import numpy as np

from strategies import make_strategy
from strategies.core.objectives import Objectives


def make(name, problem, **arguments):
    return make_strategy(name, problem.space, problem.objectives, **arguments)


def run(strategy, score, trials):
    """Candidates in the order of asking, each told before the next is asked for."""
    asked = []
    for _ in range(trials):
        candidate = strategy.ask()
        if candidate is None:
            break
        asked.append(candidate)
        strategy.tell(candidate, score(candidate))
    return asked


def hypervolume(strategy, problem):
    """Of the strategy's front, as a share of the box below the reference with accuracy 100."""
    goals = Objectives(problem.objectives)
    losses = np.array([goals.losses(scores) for _, scores in strategy.front()])
    reference = goals.losses(problem.reference)
    box = 100 * problem.reference["macs"]
    return moocore.hypervolume(losses, ref=reference) / box
