"""Recipes as small TOML files: the project's, those of extensions, a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from search_space import checks
from search_space.errors import InputError, one_of
from search_space.registry import extension_folders
from senet_nas.training.recipe import RATES, Recipe

_FOLDER = Path(__file__).with_name("recipes")


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

    overrides: values that replace the file's. Where they shorten the training, what is counted in
    epochs (the warm-up, when the rate falls) keeps its share of them unless it is set too; where
    they lengthen it, its length. Raises `InputError` naming the file and the key at fault.
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
        changed |= recipe.shortened(epochs, changed)
    return recipe_from_data(str(path), recipe.to_data() | changed)


def scaled_recipe(
    name_or_file: str | Path, overrides: Mapping[str, object], *, scale_rate: bool
) -> tuple[Recipe, str | None]:
    """`load_recipe`; where another batch size is among the overrides and no learning rate, also in
    words what is, or could be, made of the recipe's rate.

    scale_rate: multiply rates by the ratio of the batch sizes (arXiv 1706.02677). Raises
    `InputError` where there is nothing to scale by, or a rate is given too.
    """
    recipe, own = load_recipe(name_or_file, overrides), load_recipe(name_or_file)
    if scale_rate and "learning_rate" in overrides:
        raise InputError("--scale-rate and --set learning_rate=… exclude each other")
    if recipe.batch_size == own.batch_size or "learning_rate" in overrides:
        if scale_rate:
            raise InputError(f"--scale-rate: batch_size is the recipe's own, {own.batch_size}")
        return recipe, None
    scaled = own.scaled_to(recipe.batch_size)
    rates = {key: getattr(scaled, key) for key in RATES if key not in overrides}
    sizes = f"batch_size {recipe.batch_size} in place of {own.batch_size}"
    before, after = own.learning_rate, scaled.learning_rate
    if not scale_rate:
        return recipe, (
            f"{sizes}: learning_rate stays {before:g}; --scale-rate would make it {after:g}"
        )
    return replace(recipe, **rates), f"{sizes}: learning_rate {before:g} is scaled to {after:g}"


def recipe_of_assignments(
    name_or_file: str | Path, assignments: Sequence[str], *, scale_rate: bool = False
) -> tuple[Recipe, str | None]:
    """`scaled_recipe` with overrides written as `key=value`."""
    given = map(checks.parse_assignment, assignments)
    overrides = {".".join(path): value for path, value in given}
    return scaled_recipe(name_or_file, overrides, scale_rate=scale_rate)


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
