"""The section of a run file that has one supernet trained, in which candidates are then scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from search_space import InputError, SearchSpace, checks
from search_space.errors import one_of
from senet_nas.search.toml_file import Section
from senet_nas.training import load_recipe
from strategies.differentiable import (
    differentiable_names,
    differentiable_settings,
    make_differentiable_strategy,
)
from strategies.one_shot import make_path_strategy, path_strategy_names, path_strategy_settings

if TYPE_CHECKING:
    from senet_nas.search.run_file import RunFile
    from senet_nas.training import Recipe

# Of a recipe, what the training of a supernet doesn't do, and what it is where it isn't asked for.
NOT_DONE = {
    "auto_augment": "",
    "color_jitter": 0.0,
    "drop_path": 0.0,
    "dropout": None,
    "ema_decay": 0.0,
    "frozen_norm_epochs": 0,
    "micro_batch": 0,
}
NOT_RELAXED = {"loss": "cross_entropy", "mixup": 0.0, "cutmix": 0.0, "repeats": 1}


class TrustSection(Section):
    """What is trained alone, to see what the supernet's scores are worth.

    candidates: spread over the range of MACs, for Kendall's tau; 0 for none, else at least 20. se:
    besides, with SE alone different. epochs: of each, by the evaluation's recipe; by default as
    many as the evaluation has. finalists: of the supernet's front, at most. seeds: of random
    searches that take as long as the supernet's whole search.
    """

    candidates: int = Field(default=20, ge=0)
    se: int = Field(default=0, ge=0)
    epochs: int | None = Field(default=None, ge=1)
    finalists: int = Field(default=6, ge=1)
    seeds: int = Field(default=3, ge=0)


class SupernetSection(BaseModel):
    """strategy: which networks learn from each batch (`strategies/one_shot`), or how options are
    weighed (`strategies/differentiable`); its own settings stand beside it. recipe: of the
    training, by default as the strategy needs; epochs, batch_size and precision replace its own.
    seed: of the weights and of what is drawn. workers: processes that train it together, each with
    the run's GPUs a trial. checkpoint: a supernet that is trained already. images: of the training
    images, with which each network's batch norms are set before it is scored. tune_epochs: of the
    training images, a fraction allowed, that each network then learns alone, by the recipe of the
    training, before it is scored.

    Of a differentiable strategy alone: targets: what the networks found are to cost, each a search
    of its own; none for any cost. target_cost: in what; latency is in ms, by the run's table.
    seeds: of the searches for each target; `seed` alone where there are none. cost_weight: of the
    cost's loss beside that of the images. selection: of a network at the end, by the likeliest
    options or by what is lost without each.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    strategy: str = "single_path"
    recipe: str | None = None
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=2)
    precision: Literal["auto", "bf16", "fp32"] | None = None
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    workers: int = Field(default=1, ge=1)
    checkpoint: str | None = None
    images: int = Field(default=1024, ge=2)
    tune_epochs: float = Field(default=0.0, ge=0)
    targets: list[float] = Field(default=[])
    target_cost: Literal["macs", "params", "activations", "latency"] = "macs"
    seeds: list[int] = Field(default=[])
    cost_weight: float = Field(default=1.0, ge=0)
    selection: Literal["likeliest", "perturbation"] = "likeliest"
    trust: TrustSection = TrustSection()

    @property
    def is_differentiable(self) -> bool:
        """Whether alpha is learned, and not only the weights."""
        return self.strategy in differentiable_names()

    @property
    def axis(self) -> str:
        """The cost that targets are in, by its name among a trial's scores."""
        return "latency_ms" if self.target_cost == "latency" else self.target_cost

    def tasks(self) -> list[tuple[float | None, int]]:
        """Target and seed of each differentiable search."""
        targets: list[float | None] = [*self.targets] or [None]
        return [(target, seed) for target in targets for seed in (self.seeds or [self.seed])]

    def settings(self) -> dict[str, Any]:
        """What the file sets for the strategy."""
        return dict(self.model_extra or {})

    @property
    def recipe_name(self) -> str:
        """Its recipe; SGD is what differentiable strategies were tried with."""
        return self.recipe or ("supernet_sgd" if self.is_differentiable else "supernet")

    def recipe_in_full(self) -> Recipe:
        """By which the supernet is trained."""
        named = {key: getattr(self, key) for key in ("epochs", "batch_size", "precision")}
        return load_recipe(self.recipe_name, {k: v for k, v in named.items() if v is not None})

    def check(self, run: RunFile) -> None:
        """Raise `InputError` for what isn't known, or doesn't go with the rest of a run."""
        allowed = self._allowed()
        for key in self.settings():
            if key not in allowed:
                raise one_of("supernet: key", key, [*type(self).model_fields, *allowed])
        self._check_settings(run.space.open())
        self._check_recipe()
        if self.trust.candidates and self.trust.candidates < LEAST_TRUSTED:
            raise InputError(
                f"supernet.trust.candidates: {self.trust.candidates} are too few to rank; give at "
                f"least {LEAST_TRUSTED}, or 0 for none"
            )
        if run.fidelity is not None:
            raise InputError("supernet: candidates aren't trained, so leave `fidelity` out")
        if run.budget.epochs is not None:
            raise InputError(
                "budget.epochs: candidates of a supernet aren't trained; give trials or seconds"
            )
        for name in ("limits", "filter"):
            if self.is_differentiable and getattr(run, name):
                raise InputError(
                    f"{name}: {self.strategy} aims at supernet.targets and knows nothing of it; "
                    "leave it out"
                )
        if self.target_cost == "latency" and run.evaluation.latency_table is None:
            raise InputError("supernet.target_cost: latency needs an evaluation.latency_table")
        if run.space.retrofit is not None:
            raise InputError(
                "supernet: a retrofitted network has no supernet; take a space or a published "
                "network"
            )

    def _check_settings(self, space: SearchSpace) -> None:
        """Raise the `InputError` of the strategy, which is made only once training begins."""
        if self.is_differentiable:
            lengths = [len(decision.options) for decision in space.decisions]
            make_differentiable_strategy(self.strategy, lengths, self.seed, **self.settings())
        else:
            any_network = space.sample(np.random.default_rng(0))
            make_path_strategy(
                self.strategy, space, any_network, any_network, self.seed, **self.settings()
            )

    def _check_recipe(self) -> None:
        """Raise `InputError` for a recipe that isn't known, or asks for what isn't done."""
        named, recipe = self.recipe_name, self.recipe_in_full()
        for name, usual in (NOT_DONE | (NOT_RELAXED if self.is_differentiable else {})).items():
            if getattr(recipe, name) != usual:
                raise InputError(
                    f"supernet.recipe: {named} has {name} = {getattr(recipe, name)!r}, which "
                    f"{self.strategy} doesn't do; take a recipe without it"
                )
        if recipe.batch_size % self.workers:
            raise InputError(
                f"supernet.batch_size {recipe.batch_size} can't be shared by {self.workers} "
                "workers alike"
            )

    def _allowed(self) -> dict[str, Any]:
        """The settings of the strategy, with their defaults."""
        if self.is_differentiable:
            if self.checkpoint is not None or self.workers > 1 or self.tune_epochs:
                raise InputError(
                    "supernet: checkpoint, workers and tune_epochs go with "
                    f"{', '.join(path_strategy_names())}, not {self.strategy}"
                )
            for target in self.targets:
                checks.number("supernet.targets", target, least=1e-3)
            for seed in self.seeds:
                checks.seed(seed)
            return differentiable_settings(self.strategy)
        names = [*path_strategy_names(), *differentiable_names()]
        if self.strategy not in names:
            raise one_of("supernet.strategy", self.strategy, names)
        for key in ("targets", "seeds"):
            if getattr(self, key):
                raise InputError(
                    f"supernet.{key} goes with {', '.join(differentiable_names())}, not "
                    f"{self.strategy}"
                )
        return path_strategy_settings(self.strategy)


LEAST_TRUSTED = 20
