"""Training the variants of an ablation, each from several seeds; a killed one goes on.

OUT/ablation.toml is the definition, OUT/VARIANT/seed-N/ the folder of one training (see
`senet_nas.training.retrain`), with `failure.json` in it where the training diverged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from search_space import InputError
from senet_nas.data import ImageSet, draw, load_images, locked, splits_of, write_atomically
from senet_nas.search.ablation.definition import AblationFile, load_ablation
from senet_nas.search.ablation.pairing import paired_network
from senet_nas.training import EpochReport, NonFiniteLossError, RetrainResult, as_device, retrain
from senet_nas.training.retrain import RESULT_FILE

DEFINITION_FILE = "ablation.toml"
FAILURE_FILE = "failure.json"


@dataclass(frozen=True)
class Outcome:
    """One training that is over. result: None where it diverged, for the `reason` given."""

    variant: str
    seed: int
    result: RetrainResult | None
    reason: str | None = None


@dataclass(frozen=True)
class Results:
    """An ablation with what is finished of it."""

    ablation: AblationFile
    outcomes: tuple[Outcome, ...]


class Progress(Protocol):
    """Is told what an ablation does."""

    def start(self, trainings: int, finished: int, epochs: int) -> None:
        """So many trainings in all, so many of them finished, of so many epochs each."""

    def epoch(self, variant: str, seed: int, report: EpochReport) -> None:
        """An epoch of a training is over."""

    def finish(self, outcome: Outcome) -> None:
        """A training is over that wasn't before."""


def ablate(
    ablation: AblationFile,
    out: Path,
    progress: Progress | None = None,
    device: torch.device | str | None = None,
) -> Results:
    """Train every variant from every seed, seed by seed, so that pairs are complete early.

    The same call goes on where an earlier one stopped. More seeds may be added to an ablation
    that is there; nothing else may differ. device: a GPU by default, where there is one.
    Raises `InputError` for data that doesn't fit, for a folder that holds another ablation or
    that another process is at, and for what `retrain` refuses.
    """
    device = as_device(device)
    preflight(ablation)
    _check_folder(ablation, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {out}: {error.strerror}") from None
    with locked(out, f"{out}: another process is running this ablation"):
        text = ablation.to_toml()
        write_atomically(out / DEFINITION_FILE, lambda file: file.write_text(text, "utf-8"))
        if progress is not None:
            finished = len(results(out).outcomes)
            trainings = len(ablation.seeds) * len(ablation.variants)
            progress.start(trainings, finished, ablation.resolved_recipe().epochs)
        for variant, seed in trainings_of(ablation):
            _train(ablation, variant, seed, out, progress, device)
    return results(out)


def results(out: Path) -> Results:
    """What is finished in an ablation's folder. Raises `InputError` where there is none."""
    path = out / DEFINITION_FILE
    if not path.is_file():
        raise InputError(f"{out} is not an ablation's folder: it holds no {DEFINITION_FILE}")
    ablation = load_ablation(path)
    found = (_outcome(out, variant, seed) for variant, seed in trainings_of(ablation))
    return Results(ablation, tuple(outcome for outcome in found if outcome is not None))


def trainings_of(ablation: AblationFile) -> Iterator[tuple[str, int]]:
    """Variant and seed of each training, in the order in which they are trained."""
    for seed in ablation.seeds:
        for variant in ablation.variants:
            yield variant, seed


def preflight(ablation: AblationFile) -> ImageSet:
    """What can be wrong with the data before hours are spent; the training images."""
    if "test" not in splits_of(ablation.data):
        raise InputError(f"{ablation.data}: holds no test images, and an ablation compares on them")
    images = load_images(ablation.data, "train", ablation.image_size)
    if len(images.classes) < 2:
        raise InputError(f"{ablation.data}: one class alone, {images.classes[0]!r}")
    for variant in ablation.variants:
        ablation.trained(variant).check_image_size(images.image_size)
    size = images.image_size
    draw(ablation.resolved_recipe().augmentation, 1, size, size, torch.Generator())
    return images


def _check_folder(ablation: AblationFile, out: Path) -> None:
    """That the folder holds no other ablation, nor anything else."""
    if not (out / DEFINITION_FILE).is_file():
        # A kill before the definition is written leaves hidden files.
        if out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
            raise InputError(f"{out} holds something else; name another folder with --out")
        return
    held = load_ablation(out / DEFINITION_FILE)
    differing = [
        name
        for name in AblationFile.model_fields
        if getattr(held, name) != getattr(ablation, name) and name != "seeds"
    ]
    if list(held.variants) != list(ablation.variants) and "variants" not in differing:
        differing.append("variants")
    if missing := set(held.seeds) - set(ablation.seeds):
        differing.append(f"seeds (without {min(missing)})")
    if differing:
        raise InputError(
            f"{out} holds another ablation: {', '.join(differing)} differ; only more seeds can be "
            "added to one. Give the same to go on, or name another folder with --out"
        )


def _train(
    ablation: AblationFile,
    variant: str,
    seed: int,
    out: Path,
    progress: Progress | None,
    device: torch.device,
) -> None:
    """One training, unless it is over."""
    before = _outcome(out, variant, seed)
    if before is not None and before.result is None:
        return
    folder = _folder(out, variant, seed)

    def after_epoch(report: EpochReport) -> None:
        if progress is not None:
            progress.epoch(variant, seed, report)

    try:
        result = retrain(
            ablation.trained(variant),
            ablation.data,
            ablation.resolved_recipe(),
            folder,
            seed=seed,
            device=device,
            image_size=ablation.image_size,
            progress=after_epoch,
            fraction=ablation.fraction,
            make_network=paired_network,
        )
        outcome = Outcome(variant, seed, result)
    except NonFiniteLossError as error:
        reason = str(error)
        text = json.dumps({"reason": reason}) + "\n"
        write_atomically(folder / FAILURE_FILE, lambda file: file.write_text(text, "utf-8"))
        outcome = Outcome(variant, seed, None, reason)
    if progress is not None and before is None:
        progress.finish(outcome)


def _folder(out: Path, variant: str, seed: int) -> Path:
    return out / variant / f"seed-{seed}"


def _outcome(out: Path, variant: str, seed: int) -> Outcome | None:
    """What a training's folder says; None where the training isn't over."""
    folder = _folder(out, variant, seed)
    for path in (folder / RESULT_FILE, folder / FAILURE_FILE):
        if path.exists():
            try:
                data = json.loads(path.read_text(encoding="utf-8"))
                if path.name == FAILURE_FILE:
                    return Outcome(variant, seed, None, str(data["reason"]))
                return Outcome(variant, seed, RetrainResult(**data))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path}: damaged: {error}") from None
    return None
