"""Watching a search: what a look says, and when watching ends."""

import json
import os
import time
from dataclasses import replace

import pytest
from commands import finish, lines, refused, senet_nas, start, wait_for, write_run

from senet_nas.analysis import watching
from senet_nas.data.files import LOCK_FILE
from senet_nas.search import RunFolder, load_run_file


def test_a_finished_run(finished):
    told = senet_nas("watch", finished, "--json").data()
    front = senet_nas("front", finished, "--json").data()
    assert (told["trials"], told["failed"], told["running"]) == (10, 0, False)
    assert told["share"] == 1.0
    assert told["seconds_left"] == 0.0
    assert told["front"]["points"] == front["points"]
    shown = senet_nas("watch", finished, "--once").stdout
    assert "no process is at it" in shown
    assert "10 trials" in shown
    bar = [line for line in shown.splitlines() if line.startswith("━━━")]
    assert [line.strip("━ ") for line in bar] == [""]  # on a line of its own


def test_rates_are_of_the_last_trials(finished, tmp_path):
    folder = RunFolder.open(finished)
    record = folder.trials()[0]
    slow = [replace(record, number=n, elapsed_seconds=100.0 * n) for n in range(30)]
    fast = [
        replace(record, number=30 + n, elapsed_seconds=2900.0 + 10 * (n + 1), train_seconds=15.0)
        for n in range(watching.RECENT)
    ]
    rate, busy = watching._pace(slow + fast)
    assert rate == pytest.approx(360)
    assert busy == pytest.approx(1.5)


@pytest.mark.slow
def test_a_run_that_goes_on(tmp_path, images):
    run = write_run(tmp_path / "run.toml", images, trials=6)
    process = start("search", run, "--out", tmp_path / "out")
    wait_for(lambda: lines(tmp_path / "out" / "trials.jsonl") >= 1)
    told = senet_nas("watch", tmp_path / "out", "--json").data()
    assert told["running"]
    assert 0 < told["share"] <= 1
    seen = watching.watch(RunFolder.open(tmp_path / "out"), "out")
    assert (seen.running, seen.trials) == (False, 6)
    assert finish(process).status == 0


def test_the_clock_goes_on_between_trials_of_a_running_run_alone(finished, tmp_path):
    folder = RunFolder.create(tmp_path / "out", RunFolder.open(finished).run_file())
    record = RunFolder.open(finished).trials()[0]
    with folder.lock():
        folder.append(replace(record, elapsed_seconds=50.0))
        past = time.time() - 100
        for name in (LOCK_FILE, "trials.jsonl"):
            os.utime(folder.path / name, (past, past))
        seen = watching.look(folder)
        assert seen.running
        assert seen.idle_seconds == pytest.approx(100, abs=5)
        assert seen.elapsed_seconds == pytest.approx(150, abs=5)
    still = watching.look(folder)
    assert (still.running, still.elapsed_seconds) == (False, 50.0)


def supernet_run(tmp_path, images, section):
    run = write_run(tmp_path / "run.toml", images)
    run.write_text(run.read_text() + f"\n[supernet]\n{section}\n")
    return RunFolder.create(tmp_path / "out", load_run_file(run))


def test_a_supernet_that_is_trained_is_told_of(tmp_path, images):
    folder = supernet_run(tmp_path, images, "epochs = 7")
    assert watching.look(folder).supernet is None
    (folder.path / "supernet").mkdir()
    metrics = folder.path / "supernet" / "metrics.jsonl"
    metrics.write_text('{"epoch": 1, "step": 9}\n{"epoch": 1}\n{"epoch": 2, "step": 9}\n{"epo')
    assert watching.look(folder).to_data()["supernet"] == (1, 7)
    shown = senet_nas("watch", folder.path, "--once").stdout
    assert "the supernet is trained: 1 of 7 epochs are over" in shown
    assert "last trial" not in shown
    (folder.path / "supernet" / "supernet.safetensors").touch()
    assert watching.look(folder).supernet is None


def test_a_sweep_has_as_many_trials_as_searches(finished, tmp_path, images):
    folder = supernet_run(tmp_path, images, 'strategy = "darts"\nseeds = [0, 1, 2, 3]')
    folder.append(RunFolder.open(finished).trials()[0])
    assert watching.look(folder).share == 0.25


def test_an_interrupt_ends_the_watching_and_not_the_run(finished, tmp_path):
    folder = RunFolder.create(tmp_path / "out", RunFolder.open(finished).run_file())

    def interrupted(seconds):
        raise KeyboardInterrupt

    with folder.lock():
        assert watching.watch(folder, "out", interrupted).running


def test_what_is_no_run_is_refused(tmp_path):
    assert "not a run's folder" in refused("watch", tmp_path)


def test_a_run_without_trials(finished, tmp_path):
    (tmp_path / "run.toml").write_text((finished / "run.toml").read_text())
    told = senet_nas("watch", tmp_path, "--json").data()
    assert (told["trials"], told["rate"], told["share"]) == (0, None, 0.0)
    assert json.dumps(told["front"]["points"]) == "[]"
