"""Other projects' searches, on the same problems: each a function of (problem, score, budget, seed)
that calls `score` with candidates, so often as the budget says. A candidate that one scores twice
is paid for twice, as its user would pay.

Each imports its project when it is called; an `ImportError` says that it isn't installed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from search_space.problems import Problem
from search_space.space import Candidate, SearchSpace
from strategies.core.objectives import Objectives
from strategies.core.pareto import domination_ranks

Score = Callable[[Candidate], Mapping[str, float]]
Peer = Callable[[Problem, Score, int, int], None]

NNI_EXPONENT = -0.07  # MnasNet's, arXiv 1807.11626 section 3


def optuna_nsga2(problem: Problem, score: Score, budget: int, seed: int) -> None:
    """Optuna's `NSGAIISampler`, population 20 (its default of 50 was better at 50
    evaluations, worse from 200 on)."""
    import optuna

    _optuna(optuna.samplers.NSGAIISampler(seed=seed, population_size=20), problem, score, budget)


def optuna_tpe(problem: Problem, score: Score, budget: int, seed: int) -> None:
    """Optuna's `TPESampler` by default; with several objectives that is MOTPE."""
    import optuna

    _optuna(optuna.samplers.TPESampler(seed=seed), problem, score, budget)


def _optuna(sampler: Any, problem: Problem, score: Score, budget: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    goals = Objectives(problem.objectives)
    study = optuna.create_study(directions=["minimize"] * len(goals.names), sampler=sampler)
    for _ in range(budget):
        trial = study.ask()
        numbers: list[int] = []
        for position, decision in enumerate(problem.space.decisions):
            known = problem.space.is_active(numbers, position)
            options = list(range(len(decision.options)))
            numbers.append(trial.suggest_categorical(decision.name, options) if known else 0)
        study.tell(trial, list(goals.losses(score(problem.space.normalise(numbers)))))


def pymoo_nsga2(problem: Problem, score: Score, budget: int, seed: int) -> None:
    """pymoo's `NSGA2`, population 20 (its default of 100 was no worse at 50
    evaluations, worse from 100 on), with
    uniform crossover and an option drawn afresh at one decision in n."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.termination import get_termination

    space, goals = problem.space, Objectives(problem.objectives)
    last = np.array([len(decision.options) - 1 for decision in space.decisions])
    draws = np.random.default_rng(seed)

    class Redraw(Mutation):  # type: ignore[misc]
        def _do(self, problem: Any, rows: Any, **_: Any) -> Any:
            fresh = draws.integers(0, last + 1, size=rows.shape)
            return np.where(draws.random(rows.shape) < 1 / len(last), fresh, rows)

    algorithm = NSGA2(
        pop_size=20,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(),
        mutation=Redraw(),
    )
    search = PymooProblem(len(last), len(goals.names), xl=0 * last, xu=last, vtype=int)
    algorithm.setup(search, seed=seed, verbose=False, termination=get_termination("n_eval", 10**9))
    left = budget
    while left > 0:
        asked = algorithm.ask()
        rows = asked.get("X").astype(int).tolist()
        losses = [goals.losses(score(space.normalise(row))) for row in rows[:left]]
        left -= len(losses)
        if len(losses) == len(rows):
            asked.set("F", np.array(losses))
            algorithm.tell(infills=asked)


def nni_evolution(problem: Problem, score: Score, budget: int, seed: int) -> None:
    """NNI's `RegularizedEvolution` by default, population 100 and sample 25 (20 and 5 were worse at
    200 and 500 evaluations). It has one metric: with several objectives, MnasNet's product of
    accuracy and cost."""
    warnings.simplefilter("ignore")
    from nni.mutable import Categorical, MutableDict
    from nni.nas.execution import ExecutionEngine
    from nni.nas.execution.event import TrainingEndEvent
    from nni.nas.space import ModelStatus
    from nni.nas.strategy import RegularizedEvolution

    logging.getLogger("nni").setLevel(logging.ERROR)
    space, decisions = problem.space, problem.space.decisions

    class Space(MutableDict):  # type: ignore[misc]
        def freeze(self, sample: Any) -> Any:
            return SimpleNamespace(sample=dict(sample), metric=None)

    class Engine(ExecutionEngine):  # type: ignore[misc]
        left = budget

        def submit_models(self, *models: Any) -> None:
            for model in models:
                numbers = [model.sample[decision.name] for decision in decisions]
                model.metric = _metric(problem, score(space.normalise(numbers)))
                self.left -= 1
                self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Trained))

        def default_callback(self, event: Any) -> None:
            pass

        def list_models(self, status: Any = None) -> list[Any]:
            return []

        def idle_worker_available(self) -> bool:
            return True

        def budget_available(self) -> bool:
            return self.left > 0

    options = {d.name: Categorical(range(len(d.options)), label=d.name) for d in decisions}
    strategy = RegularizedEvolution(seed=seed)
    strategy(Space(options), Engine())


def _metric(problem: Problem, scores: Mapping[str, float]) -> float:
    if len(problem.objectives) == 1:
        return -Objectives(problem.objectives).losses(scores)[0]
    share = scores["macs"] / problem.reference["macs"]
    return float(scores["accuracy"] * max(share, 1e-9) ** NNI_EXPONENT)


def botorch_qnehvi(problem: Problem, score: Score, budget: int, seed: int) -> None:
    """BoTorch's `qLogNoisyExpectedHypervolumeImprovement` (one objective: `qLogNoisyExpected
    Improvement`) over `SingleTaskGP`s with their default kernel and priors on one-hot features;
    16 random candidates first; maximised over 300 candidates, mutants of the front and random
    ones; hyperparameters refitted at each tenth trial."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.acquisition.multi_objective.logei import (
        qLogNoisyExpectedHypervolumeImprovement as Improvement,
    )
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.sampling import SobolQMCNormalSampler
    from gpytorch.mlls import SumMarginalLogLikelihood

    warnings.simplefilter("ignore")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    space, goals = problem.space, Objectives(problem.objectives)
    scored: dict[Candidate, tuple[float, ...]] = {}
    state = None
    for number in range(budget):
        if number < 16:
            chosen = _new(space, scored, rng)
        else:
            inputs = _tensor(space, list(scored))
            gains = -torch.tensor(list(scored.values()), dtype=torch.double)
            columns = range(gains.shape[1])
            models = [
                SingleTaskGP(inputs, gains[:, [c]], outcome_transform=Standardize(1))
                for c in columns
            ]
            model = ModelListGP(*models)
            if state is None or number % 10 == 0:
                fit_gpytorch_mll(
                    SumMarginalLogLikelihood(model.likelihood, model),
                    optimizer_kwargs={"options": {"maxiter": 50}},
                )
                state = [_hyperparameters(m) for m in models]
            else:
                for m, kept in zip(models, state, strict=True):
                    m.load_state_dict({**m.state_dict(), **kept})
            sampler = SobolQMCNormalSampler(torch.Size([32]), seed=number)
            worst = gains.min(dim=0).values
            worst = worst - 0.1 * (gains.max(dim=0).values - worst)
            if len(columns) == 1:
                improvement = qLogNoisyExpectedImprovement(models[0], inputs, sampler)
            else:
                improvement = Improvement(
                    model, worst.tolist(), inputs, sampler, prune_baseline=True
                )
            pool = _pool(space, scored, rng)
            with torch.no_grad():
                values = improvement(_tensor(space, pool).unsqueeze(1))
            chosen = pool[int(values.argmax())]
        scored[chosen] = goals.losses(score(chosen))


def _hyperparameters(model: Any) -> dict[str, Any]:
    return {k: v for k, v in model.state_dict().items() if "raw_" in k or "constant" in k}


def _tensor(space: SearchSpace, candidates: list[Candidate]) -> Any:
    import torch

    return torch.tensor(np.array([space.encode(c) for c in candidates]), dtype=torch.double)


def _new(
    space: SearchSpace, scored: Mapping[Candidate, Any], rng: np.random.Generator
) -> Candidate:
    while (candidate := space.sample(rng)) in scored:
        pass
    return candidate


def _pool(
    space: SearchSpace, scored: Mapping[Candidate, tuple[float, ...]], rng: np.random.Generator
) -> list[Candidate]:
    candidates = list(scored)
    ranks = domination_ranks(np.array(list(scored.values())))
    front = [candidates[number] for number in np.flatnonzero(ranks == 0)]
    pool = {space.sample(rng): None for _ in range(60)}
    for _ in range(240):
        child = front[int(rng.integers(len(front)))]
        if rng.random() < 0.5:
            child = space.crossover(child, front[int(rng.integers(len(front)))], rng)
        for _ in range(int(rng.geometric(0.5))):
            child = space.mutate(child, rng)
        pool[child] = None
    return [candidate for candidate in pool if candidate not in scored]


PEERS: dict[str, Peer] = {
    "optuna_nsga2": optuna_nsga2,
    "optuna_tpe": optuna_tpe,
    "pymoo_nsga2": pymoo_nsga2,
    "nni_evolution": nni_evolution,
    "botorch_qnehvi": botorch_qnehvi,
}
