"""A search from the command line on real images: what it prints, writes and computes."""

import csv
import io
import json
import shutil
import socket

import pytest
from commands import TRIALS, finish, one_error, refused, senet_nas, start

from search_space import load, structural_hash
from senet_nas import cost
from senet_nas.search import RunFolder, load_run_file
from senet_nas.search.evaluation import Evaluator


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to change."""
    return shutil.copytree(finished, tmp_path / "copy")


def test_every_trial_is_recorded_whole(finished, images):
    folder = RunFolder.open(finished)
    records = folder.trials()
    space = load("cifar_tiny")
    assert [record.number for record in records] == list(range(TRIALS))
    assert len({record.candidate for record in records}) == TRIALS
    elapsed = 0.0
    for record in records:
        architecture = space.build(record.candidate)
        counted = cost(architecture, 16, 3)
        assert record.reason is None
        assert record.attempts == 1
        assert record.architecture == structural_hash(architecture)
        assert set(record.scores) == {
            "accuracy", "top5", "loss", "params", "macs", "activations"
        }  # fmt: skip
        assert record.scores["params"] == counted.params
        assert record.scores["macs"] == counted.macs
        assert record.scores["activations"] == counted.activations
        assert 0 <= record.scores["accuracy"] <= record.scores["top5"] <= 100
        assert 0 < record.scores["loss"] < 10
        assert len(record.curve) == 1
        assert 0 < record.train_seconds <= record.wall_seconds
        assert record.elapsed_seconds >= elapsed
        elapsed = record.elapsed_seconds


def test_children_of_the_strategy_say_whose_they_are(finished):
    records = RunFolder.open(finished).trials()
    first, children = records[:3], records[3:]  # the population
    assert [record.parents for record in first] == [()] * 3
    for record in children:
        assert 1 <= len(record.parents) <= 2
        assert all(parent < record.number for parent in record.parents)


def test_a_trial_scores_what_its_evaluation_gives(finished):
    folder = RunFolder.open(finished)
    evaluate = Evaluator(folder.run_file().evaluation)
    record = folder.trials()[-1]
    again = evaluate(load("cifar_tiny").build(record.candidate))
    assert again.scores == pytest.approx(record.scores, rel=1e-3)
    assert again.curve == pytest.approx(record.curve, rel=1e-3)


def test_the_resolved_definition_is_kept(finished, images):
    run = load_run_file(finished / "run.toml")
    assert run.space.name == "cifar_tiny"
    assert run.space.fingerprint == load("cifar_tiny").fingerprint()
    assert run.evaluation.data == str(images)
    assert run.budget.trials == TRIALS
    text = (finished / "run.toml").read_text()
    assert "validation = 0.2" in text  # a default, resolved


def test_front_prints_one_json_document(finished):
    done = senet_nas("front", finished, "--json")
    data = done.data()
    records = {record.number: record for record in RunFolder.open(finished).trials()}
    assert (done.status, done.stderr) == (0, "")
    assert (data["trials"], data["failed"]) == (TRIALS, 0)
    assert sum(point["knee"] for point in data["points"]) == 1
    for point in data["points"]:
        record = records[point["number"]]
        assert point["scores"] == record.scores
        assert tuple(point["candidate"]) == record.candidate
        assert point["architecture"] == record.architecture
    kept = json.loads((finished / "front.json").read_text())
    networks = [point.pop("network") for point in kept["points"]]
    assert data.pop("null_models")["twins"]
    assert [launch["evaluations"] for launch in data.pop("launches")] == [0]
    assert kept == data
    assert all(network.keys() == {"stem", "stages", "head"} for network in networks)


def test_front_prints_csv(finished):
    done = senet_nas("front", finished, "--csv")
    rows = [r for r in csv.DictReader(io.StringIO(done.stdout)) if r["kind"] == "front"]
    points = senet_nas("front", finished, "--json").data()["points"]
    assert [int(row["trial"]) for row in rows] == [point["number"] for point in points]
    assert [float(row["accuracy"]) for row in rows] == [p["scores"]["accuracy"] for p in points]
    assert {row["run"] for row in rows} == {str(finished)}
    assert [row["knee"] == "True" for row in rows] == [point["knee"] for point in points]


def test_front_prints_a_table(finished):
    done = senet_nas("front", finished)
    for point in senet_nas("front", finished, "--json").data()["points"]:
        assert point["architecture"] in done.stdout
    assert "knee" in done.stdout
    assert "hypervolume" in done.stdout


def test_fronts_of_several_runs_stand_side_by_side(finished, copy):
    lines = (copy / "trials.jsonl").read_text().splitlines(keepends=True)
    (copy / "trials.jsonl").write_text("".join(lines[:2]))
    data = senet_nas("front", finished, copy, "--json").data()
    assert [data[str(path)]["trials"] for path in (finished, copy)] == [TRIALS, 2]


def test_a_search_within_limits_prints_its_front(folder):
    sets = ("--set", "budget.trials=3", "--set", "limits.macs=7e5", "--set", "limits.params=30_000")
    done = senet_nas("search", "run.toml", "--out", "out", *sets, "--json")
    assert done.status == 0
    assert done.data() == senet_nas("front", "out", "--json").data()
    assert done.stderr.count(": accuracy") == 3  # a line a trial
    scores = [record.scores for record in folder.trials()]
    assert len(scores) == 3
    assert all(s["macs"] <= 700_000 and s["params"] <= 30_000 for s in scores)


def test_resuming_a_finished_run_prints_the_front_and_starts_nothing(copy, monkeypatch):
    def never(*_):
        raise AssertionError("workers were started")

    monkeypatch.setattr("ray.init", never)
    before = (copy / "trials.jsonl").read_bytes()
    done = senet_nas("resume", copy, "--json")
    assert done.status == 0
    assert done.data() == senet_nas("front", copy, "--json").data()
    assert (copy / "trials.jsonl").read_bytes() == before


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    for command in ("resume", "front"):
        assert "is not a run's folder" in refused(command, tmp_path)
        assert str(tmp_path / "absent") in refused(command, tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_exists_is_refused_and_left_alone(copy, folder):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert f"senet-nas resume {copy}" in refused("search", "run.toml", "--out", copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_search_with_resume_goes_on_or_begins(copy, folder, finished):
    done = senet_nas("search", "run.toml", "--out", copy, "--resume", "--json")
    assert done.data() == senet_nas("front", finished, "--json").data()


def test_relative_paths_hold_in_workers_and_after_a_change_of_folder(folder, images, monkeypatch):
    (folder.path / "pictures").symlink_to(images)
    (folder.path / "short.toml").write_text("epochs = 1\nbatch_size = 8\nlearning_rate = 0.1\n")
    sets = ["--set", "budget.trials=1", "--set", "evaluation.recipe=short.toml"]
    done = senet_nas("search", "run.toml", "--data", "pictures", "--out", "out", *sets)
    assert done.status == 0
    assert [record.reason for record in folder.trials()] == [None]
    elsewhere = folder.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert senet_nas("resume", folder.path / "out").status == 0


def test_limits_that_no_network_meets_are_refused(folder):
    message = refused("search", "run.toml", "--out", "out", "--set", "limits.macs=1000")
    assert "limits" in message
    assert folder.holds() == {"run.toml"}


def test_a_cluster_that_is_not_there_is_refused_before_anything_is_written(folder, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    message = refused("search", "run.toml", "--out", "out")
    assert message.startswith("RAY_ADDRESS")
    assert address in message
    assert folder.holds() == {"run.toml"}


def test_two_processes_on_one_folder_are_refused(copy):
    folder = RunFolder.open(copy)
    with folder.lock():
        done = finish(start("resume", copy))
        assert done.status == 2
        assert "another process" in one_error(done.stderr)
    assert finish(start("resume", copy)).status == 0
