"""Recipes: how a network is trained, as values read from small TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from search_space import checks
from search_space.errors import InputError, one_of
from search_space.registry import extension_folders
from senet_nas.data import Augmentation

OPTIMISERS = ("sgd",)
SCHEDULES = ("cosine", "linear", "constant")
PRECISIONS = ("auto", "bf16", "fp32")

_FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training schedule.

    learning_rate: its peak, at the recipe's own batch size. warmup_epochs: it rises linearly
    over these, a fraction allowed, then follows the schedule: to 0 along a half cosine or a line,
    or not at all. weight_decay: of weights, not of norms and biases. crop_padding, padding,
    flip, cutout: see `Augmentation`. precision: of the arithmetic; `auto` is bfloat16 where the
    device has it in hardware. name: where it was read from; recipes are equal without it.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    warmup_epochs: float = 0.0
    schedule: str = "cosine"
    label_smoothing: float = 0.0
    crop_padding: int = 4
    padding: str = "reflect"
    flip: bool = True
    cutout: int = 0
    precision: str = "auto"
    name: str = field(default="custom", compare=False)

    def __post_init__(self) -> None:
        checks.integer("recipe.epochs", self.epochs, least=1)
        checks.integer("recipe.batch_size", self.batch_size, least=2)
        checks.number("recipe.learning_rate", self.learning_rate, least=0.0)
        checks.choice("recipe.optimiser", self.optimiser, OPTIMISERS)
        _below_one("recipe.momentum", self.momentum)
        checks.boolean("recipe.nesterov", self.nesterov)
        checks.number("recipe.weight_decay", self.weight_decay, least=0.0)
        checks.number("recipe.warmup_epochs", self.warmup_epochs, least=0.0)
        checks.choice("recipe.schedule", self.schedule, SCHEDULES)
        _below_one("recipe.label_smoothing", self.label_smoothing)
        checks.choice("recipe.precision", self.precision, PRECISIONS)
        if self.warmup_epochs > self.epochs:
            raise InputError(f"recipe.warmup_epochs must be at most epochs, {self.epochs}")
        if self.nesterov and not self.momentum:
            raise InputError("recipe.nesterov needs a momentum above 0")
        try:
            _ = self.augmentation
        except InputError as error:
            raise InputError(f"recipe.{error}") from None

    @property
    def augmentation(self) -> Augmentation:
        """What is done to the training images."""
        return Augmentation(self.crop_padding, self.padding, self.flip, self.cutout)

    def to_data(self) -> dict[str, Any]:
        """The recipe as a plain mapping, from which `recipe_from_data` makes an equal one."""
        return asdict(self)


def recipe_names() -> list[str]:
    """The names that `load_recipe` takes, sorted: the project's, and those of extensions."""
    return sorted(_files())


def recipe_file(name_or_file: str | Path) -> Path:
    """The file of a recipe; a path ending in `.toml` is one itself. Raises `InputError`."""
    if isinstance(name_or_file, Path) or name_or_file.endswith(".toml"):
        return Path(name_or_file)
    files = _files()
    if name_or_file not in files:
        raise one_of("recipe", name_or_file, sorted(files))
    return files[name_or_file]


def load_recipe(name_or_file: str | Path, overrides: Mapping[str, object] | None = None) -> Recipe:
    """A recipe by name, or from a TOML file.

    overrides: values that replace the file's. Where they shorten the training and don't set
    `warmup_epochs`, the warm-up keeps its share of the epochs; where they lengthen it, its
    length. Raises `InputError` naming the file and the key at fault.
    """
    path = recipe_file(name_or_file)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"recipe {path}: {error.strerror}") from None
    except ValueError as error:  # no TOML, no UTF-8, or more digits than Python reads
        raise InputError(f"recipe {path}: not TOML: {error}") from None
    except RecursionError:
        raise InputError(f"recipe {path}: not a recipe: nested too deeply") from None
    recipe = recipe_from_data(str(path), {"name": path.stem} | data)
    changed = dict(overrides or {})
    epochs = changed.get("epochs")
    if isinstance(epochs, int) and 0 < epochs < recipe.epochs:
        changed.setdefault("warmup_epochs", recipe.warmup_epochs * (epochs / recipe.epochs))
    return recipe_from_data(str(path), recipe.to_data() | changed)


def recipe_from_data(where: str, data: object) -> Recipe:
    """A recipe from a plain mapping. Raises `InputError` that begins with `where`."""
    required = ("epochs", "batch_size", "learning_rate")
    checks.keys(where, data, {entry.name for entry in fields(Recipe)}, required)
    try:
        return Recipe(**checks.mapping(where, data))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _files() -> dict[str, Path]:
    folders = [*reversed(extension_folders("recipes")), _FOLDER]  # the project's own names win
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def _below_one(where: str, value: float) -> None:
    checks.number(where, value, least=0.0)
    if value >= 1:
        raise InputError(f"{where} must be below 1, not {value}")
