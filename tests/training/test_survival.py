"""Trainings that are killed for real, in one process and in several, end as if they weren't."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from commands import wait_for

from senet_nas.training import load_checkpoint
from senet_nas.training.images import Images
from senet_nas.training.job import Job
from senet_nas.training.retrain import retrain_job

WORKERS = 2
# Dropout, mixed images, and an average of the weights: all that draws, and all that is kept.
SETTINGS = {"epochs": 5, "mixup": 0.2, "cutmix": 1.0, "ema_decay": 0.9, "dropout": 0.3}
SCRIPT = """
import json, sys
from pathlib import Path
import torch
from search_space import Architecture
from senet_nas.training import recipe_from_data
from senet_nas.training.images import Images
from senet_nas.training.job import Job
from senet_nas.training.retrain import retrain_job
torch.set_num_threads(1)
architecture, data, recipe, out, workers = sys.argv[1:]
recipe = recipe_from_data("", json.loads(recipe))
job = Job(Architecture.from_json(architecture), Images(data), recipe, Path(out), save_minutes=0)
retrain_job(job, workers=int(workers))
"""


def start(architecture, data, recipe, out, workers=1):
    """One training as a process that leads a group of its own."""
    arguments = [architecture.to_json(), str(data), json.dumps(recipe.to_data()), str(out)]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments, str(workers)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def states_kept(out, process, count, seconds=240):
    """Wait until a training that runs has kept its state so many times more."""
    seen, path = set(), out / "state.safetensors"
    before = path.stat().st_mtime_ns if path.exists() else None
    end = time.monotonic() + seconds
    while len(seen) < count:
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < end
        if path.exists() and (changed := path.stat().st_mtime_ns) != before:
            seen.add(changed)
        time.sleep(0.002)


def losses(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(line["epoch"], line["loss"]) for line in lines]


def assert_same(out, whole):
    assert losses(out) == losses(whole)
    one, other = (load_checkpoint(folder / "checkpoint.safetensors") for folder in (out, whole))
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in other.weights)
    results = [json.loads((folder / "result.json").read_text()) for folder in (out, whole)]
    for key in ("top1", "top5", "test_loss", "test_images", "workers"):
        assert results[0][key] == results[1][key]


@pytest.mark.slow
def test_one_that_was_killed_three_times_within_epochs(architecture, data, recipe, tmp_path):
    recipe = replace(recipe, batch_size=8, **SETTINGS)
    out, whole = tmp_path / "killed", tmp_path / "whole"
    for _ in range(3):
        process = start(architecture, data, recipe, out)
        states_kept(out, process, 6)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (out / "result.json").exists()
    assert start(architecture, data, recipe, out).wait(120) == 0
    retrain_job(Job(architecture, Images(data), recipe, whole))
    assert [epoch for epoch, _ in losses(out)] == [1, 2, 3, 4, 5]
    assert_same(out, whole)


def workers_of(process):
    """The Ray workers that a process has started, once there are all: children of its child,
    Ray's raylet."""
    return wait_for(lambda: found if len(found := _workers_of(process)) == WORKERS else None)


def _workers_of(process):
    listed = subprocess.check_output(["ps", "-eo", "pid,ppid,args"], text=True)
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    children = {pid for pid, parent, _ in rows if parent == str(process.pid)}
    return [int(p) for p, parent, a in rows if parent in children and "RayTrainWorker" in a]


@pytest.mark.slow
def test_workers_and_their_driver_that_were_killed(architecture, data, recipe, tmp_path):
    recipe = replace(recipe, batch_size=8, **(SETTINGS | {"epochs": 80}))
    out, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(architecture, data, recipe, out, WORKERS)
    states_kept(out, process, 4)
    os.kill(workers_of(process)[-1], signal.SIGKILL)  # goes on by itself
    states_kept(out, process, 12)
    process.send_signal(signal.SIGKILL)  # the same command goes on
    process.wait()
    process = start(architecture, data, recipe, out, WORKERS)
    writer = workers_of(process)[0]
    states_kept(out, process, 4)
    os.kill(writer, signal.SIGKILL)
    assert process.wait(400) == 0
    assert start(architecture, data, recipe, whole, WORKERS).wait(400) == 0
    assert_same(out, whole)
