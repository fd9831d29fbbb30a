"""Any sampler of Optuna behind ask and tell, for those who trust one already."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_space.errors import InputError, one_of
from search_space.space import Candidate, SearchSpace
from strategies.core.objectives import Objectives
from strategies.core.protocol import Trial


@dataclass
class Strategy:
    """Optuna (Akiba et al. 2019, arXiv 1907.10902; `pip install senet-nas[optuna]`), each
    decision that counts a categorical parameter of its own name.

    Every proposal is by a new sampler that the trial's generator seeds, and a told trial goes
    through a study as if the sampler had proposed it, so that told trials are the whole state.
    What the sampler keeps outside of the study between its proposals is lost (quasi-random
    sequences restart, for example).

    sampler: the name of a class in `optuna.samplers` (TPESampler, which with several objectives
    is MOTPE).
    """

    space: SearchSpace
    objectives: Objectives
    sampler: str = "TPESampler"
    _make: Callable[..., Any] = field(init=False, repr=False)
    _study: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import optuna
        except ImportError:
            raise InputError(
                "strategy 'optuna_sampler' needs Optuna: pip install 'senet-nas[optuna]'"
            ) from None
        allowed = [
            name
            for name in optuna.samplers.__all__
            if name.endswith("Sampler") and not name.startswith("Base")
        ]
        if self.sampler not in allowed:
            raise one_of("optuna_sampler.sampler", self.sampler, allowed)
        self._make = getattr(optuna.samplers, self.sampler)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            directions=["minimize"] * len(self.objectives.names), sampler=self._seeded(0)
        )
        optuna.logging.set_verbosity(verbosity)

    def propose(self, rng: np.random.Generator) -> Candidate:
        """What the sampler suggests. The study keeps it as failed, which samplers pass over."""
        import optuna

        self._study.sampler = self._seeded(int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of experimental parts
            trial = self._study.ask()
            try:
                candidate = self._suggested(trial)
            except ValueError as error:  # CMA-ES has one objective
                raise InputError(f"optuna_sampler.sampler: {self.sampler}: {error}") from None
            self._tell(trial, state=optuna.trial.TrialState.FAIL)
        return candidate

    def learn(self, trial: Trial) -> None:
        """The trial is asked for by its own parameters, and told."""
        self._study.sampler = self._seeded(trial.number)
        active = self.space.is_active
        self._study.enqueue_trial(
            {
                decision.name: number
                for place, (decision, number) in enumerate(
                    zip(self.space.decisions, trial.candidate, strict=True)
                )
                if active(trial.candidate, place)
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asked = self._study.ask()
            _ = asked.relative_params  # where samplers enter a trial into its generation
            self._suggested(asked)
            self._tell(asked, values=list(trial.losses))

    def _tell(self, trial: Any, **outcome: Any) -> None:
        """BruteForceSampler stops a study where it has tried all, which raises outside of Optuna's
        own loop; the trial is told by then."""
        with contextlib.suppress(RuntimeError):
            self._study.tell(trial, **outcome)

    def _suggested(self, trial: Any) -> Candidate:
        numbers: list[int] = []
        for place, decision in enumerate(self.space.decisions):
            if self.space.is_active(numbers, place):
                options = range(len(decision.options))
                numbers.append(trial.suggest_categorical(decision.name, list(options)))
            else:
                numbers.append(0)
        return tuple(numbers)

    def _seeded(self, seed: int) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._make(seed=seed)
        except (TypeError, ImportError) as error:
            raise InputError(f"optuna_sampler.sampler: {self.sampler}: {error}") from None
