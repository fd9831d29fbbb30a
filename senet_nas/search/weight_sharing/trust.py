"""What a supernet's scores are held against: networks trained alone, and random search.

In the run's folder, `trust/alone` and `trust/supernet` are run folders of their own: the same
networks trained alone and scored in the supernet; and `trust/untaught`, where the run tunes its
networks, trained alone for as long as these. `trust/plan.json` says what each is there for.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from search_space import Candidate, InputError, SearchSpace
from search_space.coverage import coverage
from senet_nas.data import write_atomically
from senet_nas.search.outcome import Outcome, Task, Trials
from senet_nas.search.preparation import absolute_limits, known_costs
from senet_nas.search.run_file import RunFile
from senet_nas.search.run_folder import RunFolder, TrialRecord
from senet_nas.search.supernet_section import TrustSection
from senet_nas.search.weight_sharing.equal_seconds import random_searches
from strategies import make_strategy

FOLDER = "trust"
PLAN_FILE = "plan.json"
UNTAUGHT = "untaught"
_SEED = 0


@dataclass(frozen=True)
class Plan:
    """sample: candidates spread over the range of MACs. se: candidates that differ in SE alone.
    finalists: of the supernet's front. random: of a random search each. device_seconds: that the
    search took, with training the supernet, scoring, and training the finalists alone; each random
    search has as many. each_alone: of a random network, in the mean."""

    sample: tuple[Candidate, ...] = ()
    se: tuple[Candidate, ...] = ()
    finalists: tuple[Candidate, ...] = ()
    random: tuple[tuple[Candidate, ...], ...] = ()
    device_seconds: Mapping[str, float] = field(default_factory=dict)

    def ranked(self) -> list[Candidate]:
        """Those that are both trained alone and scored in the supernet."""
        return _distinct([*self.sample, *self.se])

    def alone(self) -> list[Candidate]:
        """All that are trained alone."""
        drawn = [candidate for search in self.random for candidate in search]
        return _distinct([*self.ranked(), *self.finalists, *drawn])

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        text = json.dumps(data, indent=1, default=list) + "\n"
        write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Raises `InputError` where it is missing or damaged."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for name in ("sample", "se", "finalists"):
                data[name] = tuple(map(tuple, data[name]))
            data["random"] = tuple(tuple(map(tuple, drawn)) for drawn in data["random"])
            return cls(**data)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: missing, or not a plan of senet-nas: {error}") from None


def check_trust(
    run: RunFile,
    folder: RunFolder,
    supernet: Path,
    num_classes: int,
    front: Sequence[Candidate],
    spent: float,
) -> None:
    """Evaluate all that tells what the run's scores are worth; from where an earlier call stopped.

    front: the candidates of the supernet's front. spent: device-seconds until here.
    """
    assert run.supernet is not None
    wanted = run.supernet.trust
    if not wanted.candidates:
        return
    space = run.space.open()
    alone_run = _alone(run, wanted)
    plan = Plan(
        sample=_drawn(alone_run, space, num_classes, wanted.candidates, _SEED, over_cost=True),
        finalists=_spread(front, wanted.finalists, alone_run, space, num_classes),
    )
    if wanted.se:
        plan = _with_se(plan, space, wanted.se, alone_run, num_classes)
    out = folder.path / FOLDER
    scores = _Evaluations(run, out / "supernet", supernet)
    scores.evaluate(plan.ranked())
    if run.supernet.tune_epochs:
        _Evaluations(_untaught(run), out / UNTAUGHT, None).evaluate(plan.ranked())
    alone = _Evaluations(alone_run, out / "alone", None)
    alone.evaluate(plan.alone())
    devices = run.resources.gpus_per_trial or run.resources.cpus
    seconds = alone.seconds()
    finalists = devices * sum(seconds[candidate] for candidate in plan.finalists)
    streams = [
        _asked(alone_run, space, num_classes, seed, over_cost=False)
        for seed in range(1, wanted.seeds + 1)
    ]
    random = random_searches(streams, alone.trained, (spent + finalists) / devices)
    seconds = alone.seconds()
    drawn = [candidate for search in random for candidate in search] or plan.alone()
    each = devices * float(np.mean([seconds[candidate] for candidate in drawn]))
    told = {"supernet": spent, "finalists": finalists, "each_alone": each}
    replace(plan, random=random, device_seconds=told).save(out / PLAN_FILE)


class _Evaluations:
    """A run folder of candidates that are given, not asked for."""

    def __init__(self, run: RunFile, path: Path, supernet: Path | None) -> None:
        self.run, self.supernet = run, supernet
        self.space = run.space.open()
        if (path / "run.toml").exists():
            self.folder = RunFolder.open(path)
            kept, wanted = (each.epochs_in_full() for each in (self.folder.run_file(), run))
            if kept != wanted:
                raise InputError(
                    f"{path}: holds networks trained for {kept} epochs, not {wanted}; give "
                    f"supernet.trust.epochs = {kept}, or remove that folder to train them anew"
                )
        else:
            self.folder = RunFolder.create(path, run)
        self.folder.drop_half_line()
        self.records = self.folder.trials()

    def seconds(self) -> dict[Candidate, float]:
        """That training and scoring each took."""
        return {record.candidate: record.train_seconds for record in self.records}

    def trained(self, candidates: Sequence[Candidate]) -> dict[Candidate, float]:
        """`evaluate`, then the `seconds` of all."""
        self.evaluate(candidates)
        return self.seconds()

    def evaluate(self, candidates: Sequence[Candidate]) -> None:
        """All that aren't yet."""
        from senet_nas.search.tune_runner import run_trials

        done = {record.candidate for record in self.records}
        due = iter([candidate for candidate in candidates if candidate not in done])
        left = sum(candidate not in done for candidate in candidates)
        if not left:
            return
        number = len(self.records)
        total = number + left

        def next_task() -> Task:
            nonlocal number
            task = Task(number, next(due))
            number += 1
            return task

        def record(outcome: Outcome) -> None:
            self._record(outcome)
            print(f"{self._what()} {len(self.records)}/{total}", file=sys.stderr, flush=True)

        trials = Trials(next_task, record, lambda: None)
        # Their numbers are not those of the run's own trials.
        apart = self.run.resources.model_copy(update={"tensorboard": False})
        run = self.run.model_copy(update={"resources": apart})
        run_trials(run, trials, self.folder.path / "paused", supernet=self.supernet)

    def _what(self) -> str:
        if self.supernet is not None:
            return "trust: scored in the supernet"
        as_long = " for as long as tuning is" if self.folder.path.name == UNTAUGHT else ""
        return f"trust: trained alone{as_long}"

    def _record(self, outcome: Outcome) -> None:
        epochs = 0.0 if self.supernet is not None else self.run.epochs_in_full()
        record = TrialRecord.of(outcome, self.space, epochs=epochs)
        self.folder.append(record)
        self.records.append(record)


def _alone(run: RunFile, wanted: TrustSection) -> RunFile:
    """The same run without a supernet."""
    epochs = wanted.epochs or run.epochs_in_full()
    evaluation = run.evaluation.model_copy(update={"epochs": epochs})
    strategy = run.strategy.model_validate({"name": "random_search"})
    changes = {"supernet": None, "evaluation": evaluation, "strategy": strategy, "filter": None}
    return run.model_copy(update=changes)


def _untaught(run: RunFile) -> RunFile:
    """The same run with its networks trained as they are tuned, though from initial weights: what
    the tuning ranks by itself, without a supernet."""
    section = run.supernet
    assert section is not None
    recipe, passes = section.recipe_in_full(), math.ceil(section.tune_epochs)
    changes = {
        "recipe": section.recipe_name,
        "epochs": passes,
        "batch_size": recipe.batch_size,
        "fraction": run.evaluation.fraction * section.tune_epochs / passes,
    }
    evaluation = run.evaluation.model_copy(update=changes)
    return _alone(run.model_copy(update={"evaluation": evaluation}), TrustSection())


def _drawn(
    run: RunFile, space: SearchSpace, classes: int, count: int, seed: int, *, over_cost: bool
) -> tuple[Candidate, ...]:
    """So many random candidates, as `_asked` gives them."""
    return tuple(islice(_asked(run, space, classes, seed, over_cost=over_cost), count))


def _asked(
    run: RunFile, space: SearchSpace, classes: int, seed: int, *, over_cost: bool
) -> Iterator[Candidate]:
    """Random candidates within the run's limits; over_cost: as many in each of ten bins of MACs."""
    known = dict(known_costs(run, space, classes))
    macs = known_costs(run.model_copy(update={"objectives": {"macs": "min"}}), space, classes)
    settings: dict[str, Any] = {"uniform_over": "macs"} if over_cost else {}
    strategy = make_strategy(
        "random_search",
        space,
        objectives=run.objectives,
        seed=seed,
        known={**macs, **known},
        limits=absolute_limits(run, space, classes),
        **settings,
    )
    while (candidate := strategy.ask()) is not None:
        yield candidate


def _spread(
    front: Sequence[Candidate], most: int, run: RunFile, space: SearchSpace, classes: int
) -> tuple[Candidate, ...]:
    """At most so many of a front, from its cheap end to its dear one."""
    macs = known_costs(run.model_copy(update={"objectives": {"macs": "min"}}), space, classes)
    ordered = sorted(_distinct(front), key=macs["macs"])
    if len(ordered) <= most:
        return tuple(ordered)
    places = np.linspace(0, len(ordered) - 1, most).round().astype(int)
    return tuple(ordered[place] for place in places)


def _with_se(plan: Plan, space: SearchSpace, count: int, run: RunFile, classes: int) -> Plan:
    """The plan with random SE in one network, that of the median MACs of the sample."""
    macs = known_costs(run.model_copy(update={"objectives": {"macs": "min"}}), space, classes)
    trunk = sorted(plan.sample, key=macs["macs"])[len(plan.sample) // 2]
    positions = se_positions(space)
    rng = np.random.default_rng(_SEED)
    found: list[Candidate] = [trunk]
    for _ in range(50 * count):
        drawn = space.sample(rng)
        changed = space.normalise(
            [drawn[n] if n in positions else number for n, number in enumerate(trunk)]
        )
        if changed not in found:
            found.append(changed)
        if len(found) == count:
            break
    return Plan(plan.sample, tuple(found), plan.finalists)


def se_positions(space: SearchSpace) -> set[int]:
    """Of the decisions that change SE, and nothing else."""
    places = coverage(space).places
    gating = {position for place in places for position in place.se_positions}
    return gating - {position for place in places for position in place.positions}


def _distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    return list(dict.fromkeys(candidates))
