"""The definition of a run: a TOML file, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search_space import InputError, checks
from search_space.errors import one_of
from senet_nas.cost import COSTS
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.fidelity_section import FidelitySection
from senet_nas.search.filter_section import FilterSection
from senet_nas.search.resources_section import ResourcesSection
from senet_nas.search.space_section import SpaceSection
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.toml_file import (
    Section,
    absolute,
    first_fault,
    lay_over,
    put,
    read_table,
    without_none,
)
from senet_nas.training import load_recipe
from strategies import make_strategy, strategy_settings

Precision = Literal["auto", "bf16", "fp32"] | None
MEASURED = ("accuracy", "top5", "loss")


class StrategySection(BaseModel):
    """Which strategy, its seed, and settings of its own."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str = "surrogate"
    seed: int = Field(default=0, ge=0, le=2**63 - 1)

    def settings(self) -> dict[str, Any]:
        """What the file sets beyond name and seed; the strategy checks it."""
        return dict(self.model_extra or {})


class BudgetSection(Section):
    """When to stop: after so many trials, so many seconds, or so many epochs of training in all,
    whichever is first. No evaluation starts after that, nor one that would take more epochs than
    are left; those in flight finish."""

    trials: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)


class RunFile(Section):
    """A whole run. objectives: score to direction. limits: cost to its maximum; where the space
    is that of SE in one network, also over the network without SE, as "+5%" or "+200e3"."""

    space: SpaceSection
    strategy: StrategySection = StrategySection()
    objectives: dict[str, Literal["max", "min"]] = Field(default={"accuracy": "max", "macs": "min"})
    limits: dict[str, Any] = Field(default={})
    evaluation: EvaluationSection = EvaluationSection()
    fidelity: FidelitySection | None = None
    filter: FilterSection | None = None
    supernet: SupernetSection | None = None
    resources: ResourcesSection = ResourcesSection()
    budget: BudgetSection

    def resolved(self) -> RunFile:
        """The same run with nothing left to where and when it is read: the space's fingerprint,
        the image size, absolute paths, the latency table's fingerprint."""
        space = self.space.open()
        fixed = {"fingerprint": space.fingerprint(), "weights": absolute(self.space.weights)}
        evaluation = self.evaluation.resolved(space)
        fidelity = self.fidelity
        if fidelity is not None:
            fidelity = fidelity.resolved(evaluation, self.epochs_in_full())
            evaluation = evaluation.model_copy(update={"epochs": fidelity.rungs[-1].epochs})
        supernet = self.supernet
        if supernet is not None:
            recipe, checkpoint = absolute(supernet.recipe_name), absolute(supernet.checkpoint)
            supernet = supernet.model_copy(update={"recipe": recipe, "checkpoint": checkpoint})
        return self.model_copy(
            update={
                "space": self.space.model_copy(update=fixed),
                "evaluation": evaluation,
                "fidelity": fidelity,
                "supernet": supernet,
            }
        )

    def epochs_in_full(self) -> int:
        """Of a candidate's training to its end: the evaluation's, else the last rung's, else the
        recipe's."""
        if self.evaluation.epochs is None and self.fidelity is not None and self.fidelity.rungs:
            return self.fidelity.rungs[-1].epochs
        return load_recipe(self.evaluation.recipe, self.evaluation.recipe_overrides()).epochs

    @property
    def rungs(self) -> int:
        """How many times a candidate may be scored."""
        return 1 if self.fidelity is None else len(self.fidelity.rungs)

    def epochs_spent(self, rung: int) -> float:
        """What an evaluation at this rung takes, in epochs over the images in full."""
        if self.supernet is not None:
            return 0.0
        return self.epochs_in_full() if self.fidelity is None else self.fidelity.epochs_spent(rung)

    def epochs_a_trial(self) -> float:
        """What a trial takes in the mean."""
        if self.supernet is not None:
            return 0.0
        fidelity = self.fidelity
        return self.epochs_in_full() if fidelity is None else fidelity.epochs_a_trial()

    def epochs_at_most(self) -> float | None:
        """What its trials, or its epochs, allow in all; None where only time is given."""
        budget = self.budget
        if self.supernet is not None:
            return None
        allowed = [budget.epochs] if budget.epochs is not None else []
        if budget.trials is not None:
            allowed.append(budget.trials * self.epochs_a_trial())
        return min(allowed, default=None)

    def with_means_of(self, other: RunFile) -> RunFile:
        """This run with the budget and resources of another, which is the same but for these, and
        with what it does to see what a supernet's scores are worth. What the other leaves to the
        machine (`settling`) stays as it was settled here.

        Raises `InputError` naming the section where it is not the same.
        """
        of_supernet = None if self.supernet is None else self.supernet.precision
        other = other.settled(self.evaluation.precision, self.resources.cpus_per_trial, of_supernet)
        means: dict[str, Any] = {"budget": other.budget, "resources": other.resources}
        if self.supernet is not None and other.supernet is not None:
            trust = {"trust": other.supernet.trust}
            means["supernet"] = self.supernet.model_copy(update=trust)
        changed = self.model_copy(update=means)
        for name in type(self).model_fields:
            if getattr(changed, name) != getattr(other, name):
                raise InputError(
                    f"{name} differs from the run's own; only budget and resources can change "
                    "when a run goes on"
                )
        return changed

    @property
    def known_costs(self) -> tuple[str, ...]:
        """Of its objectives and limits, those that are known of a network before it is trained: all
        costs but a latency that is measured then."""
        tabled = self.evaluation.latency_table is not None
        counted = [name for name in self.objectives if name != "latency_ms" or tabled]
        return tuple(name for name in COSTS if name in counted or name in self.limits)

    @property
    def leaves_precision(self) -> bool:
        """Whether it is left to the machine in which precision candidates are trained."""
        overrides = self.evaluation.recipe_overrides()
        return load_recipe(self.evaluation.recipe, overrides).precision == "auto"

    def settled(
        self, precision: Precision, cpus: int | Literal["auto"], of_supernet: Precision
    ) -> RunFile:
        """The same run with these in place of what it leaves to the machine. precision: of
        candidates; of_supernet: of the supernet's training."""
        changed: dict[str, Any] = {}
        if self.leaves_precision:
            changed["evaluation"] = self.evaluation.model_copy(update={"precision": precision})
        if self.resources.cpus_per_trial == "auto":
            changed["resources"] = self.resources.model_copy(update={"cpus_per_trial": cpus})
        if self.supernet is not None and self.supernet.recipe_in_full().precision == "auto":
            changed["supernet"] = self.supernet.model_copy(update={"precision": of_supernet})
        return self.model_copy(update=changed)

    def to_toml(self) -> str:
        """The resolved definition, defaults included, as TOML that reads back equal."""
        return tomli_w.dumps(without_none(self.model_dump()))


def load_run_file(
    path: Path, sets: Sequence[str] = (), data: str | None = None, supernet: Path | None = None
) -> RunFile:
    """The run file with `key=value` settings laid over it, and `data` and the supernet's checkpoint
    in their places.

    Raises `InputError` naming the file, the key and what is allowed.
    """
    table = read_table(path, "run file")
    for assignment in sets:
        lay_over(table, assignment)
    if data is not None:
        put(table, ("evaluation", "data"), data, "--data")
    if supernet is not None:
        put(table, ("supernet", "checkpoint"), str(supernet), "--supernet")
    return parse_run_file(table, str(path))


def parse_run_file(table: Mapping[str, Any], where: str) -> RunFile:
    """A run file from a parsed TOML table; `where` names it in errors."""
    try:
        run = RunFile.model_validate(table)
        _check(run)
        return run.resolved()
    except ValidationError as error:
        raise InputError(f"{where}: {first_fault(RunFile, error)}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _check(run: RunFile) -> None:
    space = run.space.open()
    fingerprint = space.fingerprint()
    if run.space.fingerprint not in (None, fingerprint):
        raise InputError(
            f"space.fingerprint: the decisions of {run.space.label()!r} have changed since this "
            f"run began ({run.space.fingerprint}, now {fingerprint}); its candidates mean another "
            "thing"
        )
    if not any((run.budget.trials, run.budget.seconds, run.budget.epochs)):
        raise InputError("budget: give at least one of trials, seconds and epochs")
    if not run.objectives:
        raise InputError('objectives: give at least one, such as accuracy = "max"')
    for name in run.objectives:
        if name not in MEASURED + COSTS:
            raise one_of("objectives: key", name, MEASURED + COSTS)
    _check_limits(run)
    settings = run.strategy.settings()
    for key in settings:
        if key not in (allowed := strategy_settings(run.strategy.name)):
            raise one_of("strategy: key", key, ["name", "seed", *allowed])
    known = dict.fromkeys(run.known_costs, lambda candidate: 0.0)  # for its names
    strategy = make_strategy(run.strategy.name, space, run.objectives, known=known, **settings)
    if run.fidelity is not None and strategy.inheriting is not None:
        raise InputError(
            f"fidelity: {run.strategy.name} trains children from their parents' weights, not in "
            "rungs; take another strategy, or leave the section out"
        )
    if run.filter is not None:
        run.filter.check()
    if run.supernet is not None:
        run.supernet.check(run)
        if strategy.inheriting is not None:
            raise InputError(
                f"supernet: {run.strategy.name} trains children from their parents' weights; take "
                "another strategy for a supernet"
            )
    load_recipe(run.evaluation.recipe, run.evaluation.recipe_overrides())
    gpus = run.resources.gpus_per_trial
    if gpus > 1 and gpus != int(gpus):
        raise InputError(
            f"resources.gpus_per_trial: {gpus} must be a fraction up to 1 or a whole number"
        )


def _check_limits(run: RunFile) -> None:
    for name, limit in run.limits.items():
        if name not in COSTS:
            raise one_of("limits: key", name, COSTS)
        if isinstance(limit, str):
            over_base(name, limit, 0.0)
            if not run.space.has_base:
                raise InputError(
                    f"limits.{name}: {limit!r} is over a network without SE, and "
                    f"{run.space.label()!r} is not around one; give a number"
                )
        else:
            checks.number(f"limits.{name}", limit, least=0)


def over_base(name: str, limit: str, base: float) -> float:
    """A limit written over a base: "+5%", "+200e3". Raises `InputError` for anything else."""
    try:
        if not limit.startswith("+"):
            raise ValueError
        if limit.endswith("%"):
            return base * (1 + float(limit[1:-1]) / 100)
        return base + float(limit[1:])
    except ValueError:
        raise InputError(
            f'limits.{name} must be a number, or one over the network without SE, as "+5%" or '
            f'"+200e3", not {limit!r}'
        ) from None
