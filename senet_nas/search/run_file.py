"""The definition of a run: a TOML file, checked before anything starts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search_space import InputError, load
from search_space.checks import parse_assignment
from search_space.errors import one_of
from senet_nas.cost import COSTS
from senet_nas.training import load_recipe
from strategies import make_strategy, strategy_settings

MEASURED = ("accuracy", "top5", "loss")


class Section(BaseModel):
    """A table of the run file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SpaceSection(Section):
    """Which search space, by name. fingerprint: of its decisions, as the run began with them."""

    name: str
    fingerprint: str | None = None


class StrategySection(BaseModel):
    """Which strategy, its seed, and settings of its own."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: str = "nsga2"
    seed: int = Field(default=0, ge=0, le=2**63 - 1)

    def settings(self) -> dict[str, Any]:
        """What the file sets beyond name and seed; the strategy checks it."""
        return dict(self.model_extra or {})


class EvaluationSection(Section):
    """How a candidate is trained and scored.

    data: a folder or archive; none means the sample that the package carries. image_size: by
    default the space's own, filled in when the run file is read. recipe: a training
    recipe; epochs, batch_size and precision replace its own. fraction: the part of the training
    split that candidates train on. validation: the part of the training images that scores them.
    seed: fixes the split, initial weights and order of images, the same for all candidates.
    """

    data: str | None = None
    image_size: int = Field(default=cast(int, None), ge=1)
    recipe: str = "proxy"
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "bf16", "fp32"] | None = None
    fraction: float = Field(default=1.0, gt=0, le=1)
    validation: float = Field(default=0.2, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, le=2**63 - 1)

    def recipe_overrides(self) -> dict[str, Any]:
        """The recipe's settings that the run file replaces."""
        named = {key: getattr(self, key) for key in ("epochs", "batch_size", "precision")}
        return {key: value for key, value in named.items() if value is not None}


class ResourcesSection(Section):
    """workers: trials at a time, 0 for as many as the machine or cluster has room for. Each
    holds so many CPUs and GPUs; a fraction of a GPU lets several share one."""

    workers: int = Field(default=0, ge=0)
    cpus_per_trial: int = Field(default=1, ge=1)
    gpus_per_trial: float = Field(default=0.0, ge=0)


class BudgetSection(Section):
    """When to stop: after so many finished trials, or so many seconds, whichever is first. No
    trial starts after that; those in flight finish."""

    trials: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)


class RunFile(Section):
    """A whole run. objectives: score to direction. limits: cost to its maximum."""

    space: SpaceSection
    strategy: StrategySection = StrategySection()
    objectives: dict[str, Literal["max", "min"]] = {"accuracy": "max", "macs": "min"}
    limits: dict[str, float] = {}
    evaluation: EvaluationSection = EvaluationSection()
    resources: ResourcesSection = ResourcesSection()
    budget: BudgetSection

    def resolved(self) -> RunFile:
        """The same run with nothing left to where and when it is read: the space's fingerprint,
        the image size, absolute paths of data and recipe."""
        space = load(self.space.name)
        size = self.evaluation.image_size or space.image_size or 32
        paths = {"data": self.evaluation.data, "recipe": self.evaluation.recipe}
        absolute = {
            key: str(Path(text).resolve())
            for key, text in paths.items()
            if text is not None and (text.endswith(".toml") or Path(text).exists())
        }
        return self.model_copy(
            update={
                "space": self.space.model_copy(update={"fingerprint": space.fingerprint()}),
                "evaluation": self.evaluation.model_copy(update={"image_size": size, **absolute}),
            }
        )

    def with_means_of(self, other: RunFile) -> RunFile:
        """This run with the budget and resources of another, which is the same but for these.

        Raises `InputError` naming the section where it is not the same.
        """
        means = {"budget": other.budget, "resources": other.resources}
        changed = self.model_copy(update=means)
        for name in type(self).model_fields:
            if getattr(changed, name) != getattr(other, name):
                raise InputError(
                    f"{name} differs from the run's own; only budget and resources can change "
                    "when a run goes on"
                )
        return changed

    def to_toml(self) -> str:
        """The resolved definition, defaults included, as TOML that reads back equal."""
        return tomli_w.dumps(_without_none(self.model_dump()))


def load_run_file(path: Path, sets: Sequence[str] = (), data: str | None = None) -> RunFile:
    """The run file with `key=value` settings laid over it, and `data` in its place.

    Raises `InputError` naming the file, the key and what is allowed.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such run file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a run file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply") from None
    for assignment in sets:
        _apply(table, assignment)
    if data is not None:
        _apply(table, f"evaluation.data={json.dumps(data)}")
    return parse_run_file(table, str(path))


def parse_run_file(table: Mapping[str, Any], where: str) -> RunFile:
    """A run file from a parsed TOML table; `where` names it in errors."""
    try:
        run = RunFile.model_validate(table)
        _check(run)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_fault(error)}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return run.resolved()


def _check(run: RunFile) -> None:
    space = load(run.space.name)
    fingerprint = space.fingerprint()
    if run.space.fingerprint not in (None, fingerprint):
        raise InputError(
            f"space.fingerprint: the decisions of {run.space.name!r} have changed since this run "
            f"began ({run.space.fingerprint}, now {fingerprint}); its candidates mean another thing"
        )
    if run.budget.trials is None and run.budget.seconds is None:
        raise InputError("budget: give trials, seconds or both")
    if not run.objectives:
        raise InputError('objectives: give at least one, such as accuracy = "max"')
    for name in run.objectives:
        if name not in MEASURED + COSTS:
            raise one_of("objectives: key", name, MEASURED + COSTS)
    for name in run.limits:
        if name not in COSTS:
            raise one_of("limits: key", name, COSTS)
    settings = run.strategy.settings()
    for key in settings:
        if key not in (allowed := strategy_settings(run.strategy.name)):
            raise one_of("strategy: key", key, ["name", "seed", *allowed])
    make_strategy(run.strategy.name, space, run.objectives, **settings)
    load_recipe(run.evaluation.recipe, run.evaluation.recipe_overrides())
    gpus = run.resources.gpus_per_trial
    if gpus > 1 and gpus != int(gpus):
        raise InputError(
            f"resources.gpus_per_trial: {gpus} must be a fraction up to 1 or a whole number"
        )


def _apply(table: dict[str, Any], assignment: str) -> None:
    """Lay one `--set section.key=value` over the table."""
    path, value = parse_assignment(assignment)
    *sections, key = path
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {assignment}: {section} is not a section")
    table[key] = value


def _first_fault(error: ValidationError) -> str:
    """One fault in one line: the key, what was given, what is allowed. Unknown keys come first:
    a misspelt section is unknown, and the right one missing."""
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    *path, last = fault["loc"]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        section = f"{'.'.join(map(str, path))}: key" if path else "section"
        return str(one_of(section, last, _fields_at(path)))
    if fault["type"] == "missing":
        return f"the key {key!r} is missing"
    return f"{key}: {fault['msg'].lower()}, not {fault['input']!r}"


def _fields_at(path: Sequence[int | str]) -> list[str]:
    model: Any = RunFile
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
