"""What may change when a run goes on, and what it would take before it starts."""

import shutil

import pytest
import torch
from commands import TRIALS, refused, senet_nas, write_run

from senet_nas.search import RunFolder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to change."""
    return shutil.copytree(finished, tmp_path / "copy")


def test_a_larger_budget_is_spent_and_kept(copy, finished):
    done = senet_nas("resume", copy, "--set", f"budget.trials={TRIALS + 2}")
    assert done.status == 0, done.stderr
    before, after = RunFolder.open(finished).trials(), RunFolder.open(copy).trials()
    assert after[:TRIALS] == before
    assert [record.number for record in after] == list(range(TRIALS + 2))
    assert RunFolder.open(copy).run_file().budget.trials == TRIALS + 2


def test_each_launch_is_recorded_with_versions_and_machine(copy):
    again = ("resume", copy, "--set", f"budget.trials={TRIALS + 1}", "--json")
    told = senet_nas(*again).data()["launches"]
    assert [launch["evaluations"] for launch in told] == [0, TRIALS]
    for launch in told:
        assert launch["versions"]["torch"] == torch.__version__.partition("+")[0]
        assert {"python", "senet-nas", "ray", "numpy"} <= launch["versions"].keys()
        assert launch["machine"]["processor"]
        assert launch["machine"]["gpus"] == [] or torch.cuda.is_available()
    assert senet_nas(*again).data()["launches"] == told  # nothing was left to do
    with (copy / "launches.jsonl").open("a") as file:
        file.write('{"time": "20')  # a kill
    assert senet_nas("front", copy, "--json").data()["launches"] == told
    (copy / "launches.jsonl").unlink()
    assert senet_nas("front", copy, "--json").data()["launches"] == []


def test_nothing_else_may_change(copy):
    definition = (copy / "run.toml").read_text()
    message = refused("resume", copy, "--set", "strategy.seed=7")
    assert str(copy) in message
    assert "strategy differs from the run's own" in message
    assert (copy / "run.toml").read_text() == definition


def test_the_same_run_file_goes_on_and_another_is_refused(copy, images, tmp_path):
    run = write_run(tmp_path / "run.toml", images)
    before = (copy / "trials.jsonl").read_text()
    done = senet_nas("search", run, "--out", copy, "--resume", "--json")
    assert done.status == 0, done.stderr
    assert done.data()["trials"] == TRIALS
    other = ("--set", "evaluation.epochs=2")
    assert "evaluation differs" in refused("search", run, "--out", copy, "--resume", *other)
    assert (copy / "trials.jsonl").read_text() == before


def test_an_estimate_trains_a_little_and_writes_nothing(folder):
    done = senet_nas("search", "run.toml", "--dry-run", "--json")
    assert done.status == 0, done.stderr
    expected = done.data()
    assert expected["trials"] == TRIALS
    assert expected["workers"] == 1
    assert expected["training_images"] + expected["validation_images"] == 48
    assert expected["total_seconds"] == pytest.approx(TRIALS * expected["trial_seconds"], abs=0.2)
    assert folder.holds() == {"run.toml"}


def test_an_estimate_follows_the_time_that_is_given(folder):
    short = ("--set", "budget.seconds=0.001")
    assert senet_nas("search", "run.toml", "--dry-run", "--json", *short).data()["trials"] == 1
