"""What the candidates of a retrofit search start from: the weights of the user's network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search_space import InputError
from senet_nas.data import RGB, load_images
from senet_nas.search.run_file import RunFile
from senet_nas.search.run_folder import RunFolder
from senet_nas.training.checkpoint import rgb
from senet_nas.training.start import Start

if TYPE_CHECKING:
    from senet_nas.nn.foreign.source import Source

START_FILE = "start.safetensors"


def start_file(folder: RunFolder) -> Path | None:
    """The run's file of weights to train from, where it has one."""
    path = folder.path / START_FILE
    return path if path.is_file() else None


def make_start(run: RunFile, classes: Sequence[str]) -> Start | None:
    """The weights of the network that a run puts SE into, None for other runs.

    Where the network knows its classes by name and the images' are among them, the classifier
    keeps what it learned of these. Else a classifier for another number of classes is new.
    The normalisation is the run's, else the weights' own where they say it, else the images'.
    Raises `InputError` where the weights can't be had.
    """
    reference = run.space.retrofit
    if reference is None:
        return None
    from senet_nas.nn.foreign.source import load_source
    from senet_nas.nn.foreign.weights_file import classifier_name

    weights, seed = run.space.weights or "pretrained", run.evaluation.seed
    try:
        whole = load_source(reference, None, weights, seed)
        named = whole.classes is not None and set(classes) <= set(whole.classes)
        if whole.classes is not None and named and tuple(classes) != whole.classes:
            state = dict(whole.model.state_dict())
            rows = [whole.classes.index(name) for name in classes]
            name = classifier_name(whole.model)
            for key in (f"{name}.weight", f"{name}.bias"):
                if key in state:
                    state[key] = state[key][rows]
            return Start(state, *_normalisation(run, whole))
        source = load_source(reference, len(classes), weights, seed)
    except InputError as error:
        raise InputError(f"space.retrofit: {error}") from None
    return Start(source.model.state_dict(), *_normalisation(run, source))


def _normalisation(run: RunFile, source: Source) -> tuple[RGB, RGB]:
    mean, std = run.space.mean or source.mean, run.space.std or source.std
    if mean is None or std is None:
        images = load_images(run.evaluation.data, "train", run.evaluation.image_size)
        mean, std = mean or images.mean(), std or images.std()
    return rgb(mean), rgb(std)
