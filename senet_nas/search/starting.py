"""What the candidates of a retrofit search start from: the weights of the user's network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search_space import InputError
from senet_nas.search.run_file import RunFile
from senet_nas.search.run_folder import RunFolder
from senet_nas.training.start import Start

START_FILE = "start.safetensors"


def start_file(folder: RunFolder) -> Path | None:
    """The run's file of weights to train from, where it has one."""
    path = folder.path / START_FILE
    return path if path.is_file() else None


def make_start(run: RunFile, classes: Sequence[str]) -> Start | None:
    """The weights of the network that a run puts SE into, None for other runs.

    Where the network knows its classes by name and the images' are among them, the classifier
    keeps what it learned of these. Else a classifier for another number of classes is new.
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
            return Start(state, whole.mean, whole.std)
        source = load_source(reference, len(classes), weights, seed)
    except InputError as error:
        raise InputError(f"space.retrofit: {error}") from None
    return Start(source.model.state_dict(), source.mean, source.std)
