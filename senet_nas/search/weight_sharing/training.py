"""The supernet of a run: the one that it names, or one trained for it in its folder."""

from __future__ import annotations

import sys
from pathlib import Path

from senet_nas.search.run_file import RunFile
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.weight_sharing.one_shot import SUPERNET_FILE, SupernetJob, train_supernet
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint
from senet_nas.training.progress import TrainingProgress

FOLDER = "supernet"


def supernet_path(section: SupernetSection, folder: Path) -> Path:
    """Where the supernet of a run in this folder is, or will be."""
    if section.checkpoint is not None:
        return Path(section.checkpoint)
    return folder / FOLDER / SUPERNET_FILE


def supernet_of(run: RunFile, folder: Path) -> Path:
    """The file of the run's supernet, showing progress on stderr while one is trained."""
    section = run.supernet
    assert section is not None
    path = supernet_path(section, folder)
    if section.checkpoint is not None or path.exists():
        return path
    job = SupernetJob(run.space, run.evaluation, section, path.parent)
    print(f"training the supernet: {section.strategy}", file=sys.stderr, flush=True)
    gpus = run.resources.gpus_per_trial
    with TrainingProgress("supernet") as progress:
        path = train_supernet(
            job,
            device="cuda" if gpus else "cpu",
            gpus_per_worker=gpus,
            on_epoch=progress.after_epoch,
            on_step=progress.after_step,
        )
    if skipped := SupernetCheckpoint.load(path).skipped:
        told = f"{skipped} steps had no finite loss and were skipped"
        print(f"supernet: {told}", file=sys.stderr, flush=True)
    return path
