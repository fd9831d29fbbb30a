"""The definition of an ablation: a TOML file of variants of one network, checked before anything
starts (the studies of arXiv 1709.01507, sections 6 and 7.1, are in `runs/ablations/`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, ValidationError

from search_space import Architecture, InputError, checks
from search_space.errors import one_of
from senet_nas.cost import cost
from senet_nas.search.ablation.variants import Changes, changed, network_of
from senet_nas.search.toml_file import (
    Section,
    first_fault,
    lay_over,
    put,
    read_table,
    without_none,
)
from senet_nas.training import Recipe, load_recipe

VARIANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # it names a folder


class PaperFigures(Section):
    """What the paper printed: errors in percent, parameters in millions, GFLOPs (which are
    billions of multiply-adds)."""

    top1_error: float | None = None
    top5_error: float | None = None
    params_m: float | None = None
    gflops: float | None = None


class Settings(Section):
    """Changes of a network: see `Changes`."""

    se: Any = None
    stages: list[int] | None = None
    block: dict[str, Any] = Field(default={})

    def changes(self) -> Changes:
        """The same as a value. Raises `InputError` for an `se` that is neither false nor a
        table."""
        if self.se is not None and self.se is not False and not isinstance(self.se, dict):
            raise InputError(f"se must be false or a table such as {{ r = 8 }}, not {self.se!r}")
        stages = None if self.stages is None else tuple(self.stages)
        return Changes(self.se, stages, self.block)


class Variant(Settings):
    """One row of the table."""

    paper: PaperFigures = PaperFigures()


class FullSize(Section):
    """The paper's network, whose parameters and MACs stand beside what it printed."""

    network: str
    image_size: int = Field(default=224, ge=1)
    classes: int = Field(default=1000, ge=1)
    settings: Settings = Settings()


class AblationFile(Section):
    """A whole ablation.

    base: the variant from which differences are taken. network: a published name or a file of an
    architecture's JSON. settings: changes of every variant's network. data: a folder or archive;
    none means the carried sample. fraction: of the training images, drawn by the seed.
    recipe_settings: what replaces the recipe's own. seeds: a training of every variant for each.
    """

    title: str
    base: str
    network: str
    settings: Settings = Settings()
    data: str | None = None
    image_size: int | None = Field(default=None, ge=1)
    fraction: float = Field(default=1.0, gt=0, le=1)
    recipe: str = "cifar_quick"
    recipe_settings: dict[str, Any] = Field(default={})
    seeds: list[int] = Field(min_length=1)
    full_size: FullSize
    variants: dict[str, Variant] = Field(min_length=2)

    def trained(self, variant: str) -> Architecture:
        """The network that is trained for a variant."""
        changes = (self.settings.changes(), self.variants[variant].changes())
        return changed(network_of(self.network), *changes)

    def in_full(self, variant: str) -> Architecture:
        """The paper's network for a variant."""
        changes = (self.full_size.settings.changes(), self.variants[variant].changes())
        return changed(network_of(self.full_size.network), *changes)

    def resolved_recipe(self) -> Recipe:
        """The recipe with its settings over it."""
        return load_recipe(self.recipe, self.recipe_settings)

    def resolved(self) -> AblationFile:
        """The same with nothing left to where it is read: absolute paths of data, recipe and
        network."""
        is_file = {
            "data": self.data is not None and Path(self.data).exists(),
            "recipe": self.recipe.endswith(".toml"),
            "network": self.network.endswith(".json"),
        }
        absolute = {
            key: str(Path(getattr(self, key)).resolve())
            for key, is_one in is_file.items()
            if is_one
        }
        return self.model_copy(update=absolute)

    def to_toml(self) -> str:
        """The resolved definition, defaults included, as TOML that reads back equal."""
        return tomli_w.dumps(without_none(self.model_dump()))


def load_ablation(path: Path, sets: Sequence[str] = (), data: str | None = None) -> AblationFile:
    """The ablation file with `key=value` settings laid over it, and `data` in its place.

    Raises `InputError` naming the file, the key and what is allowed; also for a variant that
    can't be built.
    """
    table = read_table(path, "ablation file")
    for assignment in sets:
        lay_over(table, assignment)
    if data is not None:
        put(table, ("data",), data, "--data")
    return parse_ablation(table, str(path))


def parse_ablation(table: Mapping[str, Any], where: str) -> AblationFile:
    """An ablation from a parsed TOML table; `where` names it in errors."""
    try:
        ablation = AblationFile.model_validate(table)
        _check(ablation)
    except ValidationError as error:
        raise InputError(f"{where}: {first_fault(AblationFile, error)}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return ablation.resolved()


def _check(ablation: AblationFile) -> None:
    if ablation.base not in ablation.variants:
        raise one_of("base", ablation.base, ablation.variants)
    for seed in ablation.seeds:
        checks.seed(seed, "seeds")
    if len(set(ablation.seeds)) < len(ablation.seeds):
        raise InputError(f"seeds: one stands twice in {ablation.seeds}")
    ablation.resolved_recipe()
    full = ablation.full_size
    for name in ablation.variants:
        if not VARIANT_NAME.fullmatch(name):
            raise InputError(
                f"variants: {name!r} names a folder: begin with a letter or digit, and use these, "
                "'_', '.' and '-'"
            )
        networks = {
            f"network {ablation.network}": ablation.trained,
            f"full_size {full.network}": ablation.in_full,
        }
        for which, network in networks.items():
            try:
                cost(network(name), full.image_size, full.classes)
            except InputError as error:
                raise InputError(f"variants.{name}, {which}: {error}") from None
            except (TypeError, RuntimeError, OverflowError):  # of numbers beyond 64 bits
                raise InputError(
                    f"variants.{name}, {which}: its channels or kernels are too many to count"
                ) from None
