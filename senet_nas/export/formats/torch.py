"""A program of `torch.export` (`.pt2`) with a dynamic batch, which needs torch alone to run.

    program = torch.export.load("network.pt2", extra_files=(about := {"preprocessing.json": ""}))
    logits = program.module()(images)

`torch.export.load` unpickles what the archive marks as pickled, and evaluates expressions for
sizes: a `.pt2` is code, and `predict` opens only one that is trusted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from search_space import InputError
from senet_nas.export import Exported
from senet_nas.export.check import Opened, write_and_compare
from senet_nas.export.preprocessing import Preprocessing

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages
    from senet_nas.training import Checkpoint

SUFFIX = ".pt2"
RUNS_CODE = True
PREPROCESSING, ARCHITECTURE = "preprocessing.json", "architecture.json"


def export(checkpoint: Checkpoint, path: Path, images: RealImages) -> Exported:
    """Write the program to `path`, load it, and compare. Raises `InputError` for another suffix,
    which `torch.export.load` doesn't take."""
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: the name must end in {SUFFIX}")
    example = torch.zeros(2, 3, checkpoint.image_size, checkpoint.image_size)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(checkpoint.network(), (example,), dynamic_shapes=(batch,))
    program.example_inputs = None  # they would be in the archive
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names this machine's files
    texts = {
        PREPROCESSING: json.dumps(Preprocessing.of(checkpoint).to_data(), indent=2),
        ARCHITECTURE: checkpoint.architecture.to_json(indent=2),
    }

    def write(temporary: Path) -> None:
        torch.export.save(program, temporary, extra_files=texts)

    return write_and_compare(path, checkpoint, images, write, opened)


def recognises(path: Path) -> bool:
    """Whether it is an archive with that suffix."""
    return path.suffix == SUFFIX and path.is_file() and zipfile.is_zipfile(path)


def opened(path: Path) -> Opened:
    """The program in a file. Raises `InputError` where it wasn't written by `export`."""
    texts = {PREPROCESSING: ""}
    with _quiet():
        program = torch.export.load(path, extra_files=texts)
    try:
        inputs = Preprocessing.from_data(json.loads(texts[PREPROCESSING]))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    return Opened(program.module(), inputs)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings about files that it can't find."""
    log = logging.getLogger("torch.export.pt2_archive._package")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
