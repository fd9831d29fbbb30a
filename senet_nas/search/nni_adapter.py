"""NNI 3.0 (https://github.com/microsoft/nni, no longer maintained): spaces as its mutables, and its
strategies on plain functions. The only file that imports it, itself imported only when asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from search_space import Candidate, InputError, SearchSpace, checks
from search_space.errors import one_of
from search_space.space import Decision, option_label
from senet_nas.nn import build_network

try:
    from nni import NoMoreTrialError
    from nni.algorithms.hpo.tpe_tuner import TpeTuner
    from nni.mutable import Categorical, Mutable, MutableDict, ensure_frozen
    from nni.nas import strategy as strategies
    from nni.nas.execution import ExecutionEngine
    from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent
    from nni.nas.nn.pytorch import ModelSpace
    from nni.nas.space import ExecutableModelSpace, ModelStatus, model_context
    from nni.nas.strategy.base import Strategy
except ImportError as error:
    raise InputError(f"NNI is missing: pip install 'senet-nas[nni]' ({error})") from None

STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "random": strategies.Random,
    "regularized_evolution": strategies.RegularizedEvolution,
    "grid_search": strategies.GridSearch,
    "policy_based_rl": lambda seed, **settings: strategies.PolicyBasedRL(**settings),
}
NAMES = (*STRATEGIES, "tpe")
REPEATS = 20  # proposals for each evaluation of the budget, before a strategy has nothing new

logging.getLogger("nni").setLevel(logging.ERROR)  # else each proposal is a line on stdout

Sample = Mapping[str, Any]
Objective = Callable[[dict[str, Any]], float]


def to_mutables(space: SearchSpace) -> MutableDict:
    """The space as NNI's: for each decision a `Categorical` of that label over the options in
    words, with the weights that they are drawn by.

    NNI knows no conditions: it always chooses everywhere, and `candidate_from_sample` drops what
    doesn't count.
    """
    return MutableDict({decision.name: _categorical(decision) for decision in space.decisions})


def candidate_from_sample(space: SearchSpace, sample: Sample) -> Candidate:
    """The normalised candidate of an NNI sample, which has an option in words by decision.

    Raises `InputError` where a decision is missing or has no such option.
    """
    numbers = []
    for decision in space.decisions:
        words = _words(decision)
        chosen = sample.get(decision.name)
        if chosen not in words:
            raise one_of(f"sample: {decision.name}", chosen, words)
        numbers.append(words.index(chosen))
    return space.normalise(numbers)


def sample_from_candidate(space: SearchSpace, candidate: Candidate) -> dict[str, str]:
    """The NNI sample of a candidate, with the first option where a decision doesn't count."""
    pairs = zip(space.decisions, space.normalise(candidate), strict=True)
    return {decision.name: _words(decision)[number] for decision, number in pairs}


def _categorical(decision: Decision) -> Categorical:
    weights = decision.weights
    shares = None if weights is None else [weight / sum(weights) for weight in weights]
    return Categorical(_words(decision), weights=shares, label=decision.name)


def _words(decision: Decision) -> list[str]:
    """Each option in words that no other has."""
    labels = [option_label(option) for option in decision.options]
    return [
        label if labels.count(label) == 1 else f"{label} (option {number})"
        for number, label in enumerate(labels)
    ]


class NetworkSpace(ModelSpace):  # type: ignore[misc]
    """A space of networks as an `nni.nas` model space: built within `model_context` of a sample
    (or frozen by one), it is that network, and else that of every decision's first option."""

    def __init__(self, space: SearchSpace, num_classes: int, image_size: int | None = None) -> None:
        super().__init__()
        sample = {}
        for name, mutable in to_mutables(space).items():
            self.add_mutable(mutable)
            sample[name] = ensure_frozen(mutable)
        size = image_size or space.image_size or 224
        blueprint = space.build(candidate_from_sample(space, sample))
        self.network = build_network(blueprint, num_classes, size)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) to logits (N, num_classes)."""
        logits: Tensor = self.network(x)
        return logits

    def freeze(self, sample: Sample) -> torch.nn.Module:
        """The network of a sample, with new weights."""
        self.validate(sample)
        with model_context(dict(sample)):
            return type(self)(*self.trace_args, **self.trace_kwargs)


def model_space(
    space: SearchSpace, num_classes: int, image_size: int | None = None
) -> NetworkSpace:
    """The space for NNI's multi-trial experiments: `NasExperiment(model_space(...), ...)`.

    image_size: in pixels, the space's own by default. One-shot strategies need layers that NNI
    made itself, and don't run on it.
    """
    return NetworkSpace(space, num_classes, image_size)


def nni_strategy(
    name: str, space: SearchSpace, objective: Objective, seed: int, budget: int, **settings: Any
) -> list[tuple[Candidate, float]]:
    """Run one of NNI's strategies on a function of choices, in this process and without NNI's
    server: the distinct candidates that it evaluated, in order, with their scores.

    name: one of `NAMES`. objective: of choices by name, higher is better. budget: candidates to
    evaluate. settings: of NNI's class, such as population_size. A candidate that comes again is
    answered from memory and costs nothing, since NNI doesn't know which of its samples are the
    same; after `REPEATS` times the budget of proposals a strategy has ended. Raises `InputError`
    for an unknown name, and for `policy_based_rl` where tianshou is missing.
    """
    checks.integer("budget", budget, least=1)
    checks.seed(seed)
    if name not in NAMES:
        raise one_of("NNI strategy", name, NAMES)
    memory = _Memory(space, objective, budget)
    with _seeded(seed):
        if name == "tpe":
            _run_tuner(TpeTuner(optimize_mode="maximize", seed=seed, **settings), memory)
        else:
            try:
                strategy = STRATEGIES[name](seed=seed, **settings)
            except ImportError as error:
                raise InputError(f"{name}: {error}") from None
            strategy(_Sampled(to_mutables(space)), _InProcessEngine(memory))
    return list(memory.scores.items())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Inside, global generators depend on the seed: reinforcement learning draws from them."""
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(np.random.SeedSequence(seed).generate_state(1))
        try:
            yield
        finally:
            np.random.set_state(before)


class _Memory:
    """Scores by candidate, up to a budget."""

    def __init__(self, space: SearchSpace, objective: Objective, budget: int) -> None:
        self.space = space
        self.scores: dict[Candidate, float] = {}
        self._objective = objective
        self._budget = budget
        self._proposals = 0

    def is_open(self) -> bool:
        return len(self.scores) < self._budget and self._proposals < REPEATS * self._budget

    def score(self, sample: Sample) -> float:
        self._proposals += 1
        candidate = candidate_from_sample(self.space, sample)
        if candidate not in self.scores:
            self.scores[candidate] = float(self._objective(self.space.choices(candidate)))
        return self.scores[candidate]


class _Sampled(ExecutableModelSpace):  # type: ignore[misc]
    """What NNI's strategies draw from and submit: mutables, and once frozen a sample of them."""

    def __init__(self, mutables: MutableDict, sample: Sample | None = None) -> None:
        super().__init__(ModelStatus.Initialized if sample is None else ModelStatus.Frozen)
        self.mutables = mutables
        self.sample = None if sample is None else dict(sample)
        self.evaluator = None

    def freeze(self, sample: Sample) -> _Sampled:
        self.validate(sample)
        return _Sampled(self.mutables, sample)

    def check_contains(self, sample: Sample) -> Exception | None:
        fault: Exception | None = self.mutables.check_contains(sample)
        return fault

    def leaf_mutables(self, is_leaf: Callable[[Mutable], bool]) -> Iterable[Mutable]:
        yield from self.mutables.leaf_mutables(is_leaf)


class _InProcessEngine(ExecutionEngine):  # type: ignore[misc]
    """Evaluates each submitted sample at once, in this process."""

    def __init__(self, memory: _Memory) -> None:
        super().__init__()
        self._memory = memory
        self._submitted: list[_Sampled] = []

    def submit_models(self, *models: _Sampled) -> None:
        for model in models:
            self._submitted.append(model)
            model.status = ModelStatus.Training
            score = self._memory.score(model.sample or {})
            self.dispatch_model_event(FinalMetricEvent(model, score))
            self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Trained))

    def list_models(self, status: ModelStatus | None = None) -> list[_Sampled]:
        return [m for m in self._submitted if status is None or m.status == status]

    def idle_worker_available(self) -> bool:
        return True

    def budget_available(self) -> bool:
        return self._memory.is_open()


def _run_tuner(tuner: TpeTuner, memory: _Memory) -> None:
    """One of NNI's tuners of hyperparameters. Not by its `TPE` strategy, which waits a second
    after each proposal and, as it is made by default, minimises the score."""
    mutables = to_mutables(memory.space).simplify()
    tuner.update_search_space({name: m.as_legacy_dict() for name, m in mutables.items()})
    number = 0
    while memory.is_open():
        try:
            sample = tuner.generate_parameters(number)
        except NoMoreTrialError:
            return
        tuner.receive_trial_result(number, sample, memory.score(sample))
        number += 1
