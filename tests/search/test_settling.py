"""What a run leaves to the machine is settled at its start, said, and kept for a resume."""

import shutil

import pytest
from commands import senet_nas

from search_space import SearchSpace, load
from senet_nas.search import RunFolder, load_run_file, settling, split
from senet_nas.search.split import Split, Training, best_split, measured_splits, possible_splits


@pytest.fixture
def run(folder):
    """A run that leaves all to the machine."""
    folder.replace('precision = "fp32"', "")
    folder.replace("workers = 1", "workers = 0")
    return load_run_file(folder.path / "run.toml")


@pytest.fixture
def two_cpus(monkeypatch):
    """Two CPUs, on which no search is too short."""
    monkeypatch.setattr(settling, "cpus_here", lambda: 2)
    monkeypatch.setattr(settling, "SHORT_SECONDS", 0.0)


def test_a_short_search_settles_without_measuring(finished):
    run = RunFolder.open(finished).run_file()
    assert run.resources.cpus_per_trial == 1
    assert run.evaluation.precision == "fp32"


def test_nothing_is_left_to_the_machine_and_a_resume_may_leave_it(run, folder):
    run = load_run_file(folder.path / "run.toml", ["supernet.strategy=sandwich"])
    settled = settling.settled(run, 3)
    assert run.leaves_precision
    assert settled.evaluation.precision in ("bf16", "fp32")
    assert settled.resources.cpus_per_trial == 1
    assert settled.supernet.precision == settled.evaluation.precision
    assert settled.with_means_of(run) == settled
    assert settling.settled(settled, 3) == settled


def test_the_file_that_left_it_open_goes_on_with_what_was_settled(finished, folder, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    left_open = ("--set", "resources.cpus_per_trial=auto")
    done = senet_nas("search", "run.toml", "--out", copy, "--resume", *left_open)
    assert done.status == 0, done.stderr
    assert RunFolder.open(copy).run_file().resources.cpus_per_trial == 1


def test_the_faster_split_is_taken_and_said(run, two_cpus, monkeypatch, capsys):
    def measured(training: Training, splits: list[Split]) -> list[Split]:
        assert [(each.workers, each.cpus) for each in splits] == [(2, 1), (1, 2)]
        assert training.batch_size == 64
        return [Split(2, 1, 100.0), Split(1, 2, 120.0)]

    monkeypatch.setattr(settling, "measured_splits", measured)
    assert settling.settled(run, 3).resources.cpus_per_trial == 2
    said = "1 worker of 2 CPUs: 1.20 times the steps a second of 2 workers of 1 CPU\n"
    assert capsys.readouterr().err.endswith(said)


def test_a_trial_has_one_cpu_where_measuring_fails(run, two_cpus, monkeypatch, caplog):
    monkeypatch.setattr(split.sys, "executable", "/bin/false")
    assert settling.settled(run, 3).resources.cpus_per_trial == 1
    assert "trials have one CPU each" in caplog.text


def test_splits_are_measured_by_workers_side_by_side():
    space: SearchSpace = load("cifar_tiny")
    network = space.build(space.candidate({}))
    training = Training(network.to_json(), 16, 3, 8, "fp32")
    found = measured_splits(training, [Split(1, 1), Split(2, 1)], seconds=0.1)
    assert [(each.workers, each.cpus) for each in found] == [(1, 1), (2, 1)]
    assert all(each.images_per_second > 0 for each in found)


@pytest.mark.parametrize(
    ("cpus", "workers", "expected"),
    [
        (1, 0, [(1, 1)]),
        (2, 0, [(2, 1), (1, 2)]),
        (6, 0, [(6, 1), (3, 2), (1, 4), (1, 6)]),
        (8, 4, [(4, 1), (4, 2)]),
        (2, 1, [(1, 1), (1, 2)]),
    ],
)
def test_splits_that_fit(cpus, workers, expected):
    assert [(each.workers, each.cpus) for each in possible_splits(cpus, workers)] == expected


def test_fewer_cpus_a_trial_where_more_are_hardly_faster():
    best, _ = best_split([Split(2, 1, 100.0), Split(1, 2, 102.0)])
    assert best.cpus == 1
