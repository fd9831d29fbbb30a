"""Children that begin with their parent's weights, in a search from the command line."""

import os
import shutil
import signal
import time

import pytest
from commands import finish, lines, refused, senet_nas, start, wait_for, write_run

from search_space import load
from senet_nas.search import RunFolder
from senet_nas.search.evaluation import Evaluator
from senet_nas.search.paused import Paused
from senet_nas.search.running import Running
from strategies import make_strategy

TRIALS = 10
POPULATION = 4


class Silent:
    """Progress that says nothing."""

    def start(self, run, records): ...

    def tick(self, elapsed_seconds): ...

    def finished(self, record): ...


def write_lamarckian(path, images):
    run = write_run(path, images, TRIALS)
    text = run.read_text().replace('"nsga2"', '"lamarckian"').replace("epochs = 1", "epochs = 3")
    run.write_text(text.replace("population_size = 3", f"population_size = {POPULATION}"))
    return run


@pytest.fixture(scope="module")
def inherited(tmp_path_factory, images):
    """The folder of a search that ran to its end. Tests copy what they change."""
    path = tmp_path_factory.mktemp("inherited")
    done = senet_nas("search", write_lamarckian(path / "run.toml", images), "--out", path / "out")
    assert done.status == 0, done.stderr
    return path / "out"


@pytest.fixture
def copy(inherited, tmp_path):
    return RunFolder(shutil.copytree(inherited, tmp_path / "copy"))


def test_children_train_for_less_and_say_whose_they_are(inherited):
    records = RunFolder.open(inherited).trials()
    first, children = records[:POPULATION], records[POPULATION:]
    assert [(r.parent, r.epochs, len(r.curve)) for r in first] == [(None, 3, 3)] * POPULATION
    assert all((r.epochs, len(r.curve)) == (1, 1) for r in children)
    assert all(0 <= r.parent < r.number for r in children)


def test_a_child_is_its_parents_weights_trained_on(inherited):
    """A parent whose weights are still there, and the training of its child anew."""
    folder = RunFolder.open(inherited)
    records, space = folder.trials(), load("cifar_tiny")
    weights = Paused(folder.path / "weights")
    child = next(
        r for r in reversed(records) if r.parent is not None and weights.holds(r.parent, 0)
    )
    parent = records[child.parent]
    state = weights.load(parent.number, 0, parent.architecture)
    assert state.momentum == {}
    again, _ = Evaluator(folder.run_file().evaluation).from_parent(
        space.build(child.candidate), space.build(parent.candidate), state.weights, 1
    )
    assert again.scores == pytest.approx(child.scores, rel=1e-5)
    assert again.curve == pytest.approx(child.curve, rel=1e-3)


def test_the_weights_on_disk_are_those_of_the_living_and_the_front(inherited):
    folder = RunFolder.open(inherited)
    records = folder.trials()
    run = folder.run_file()
    asks = make_strategy(
        "lamarckian", load("cifar_tiny"), run.objectives, population_size=POPULATION
    )
    for record in records:
        asks.tell(record.candidate, record.scores)
    numbers = {record.candidate: record.number for record in records}
    wanted = {f"{numbers[t.candidate]}-0" for t in asks.inheriting.heritable()}
    assert {path.stem for path in (inherited / "weights").iterdir()} == wanted
    assert len(wanted) < TRIALS


@pytest.mark.slow
def test_killed_it_finds_what_it_would_have_found(folder, images, inherited):
    write_lamarckian(folder.path / "run.toml", images)
    out = folder.path / "out"
    arguments = ("search", folder.path / "run.toml", "--out", out, "--resume")
    for trials in (5,):
        wanted = lines(out / "trials.jsonl") + trials
        process = start(*arguments)
        wait_for(lambda wanted=wanted: lines(out / "trials.jsonl") >= wanted)
        time.sleep(0.03)
        assert process.poll() is None  # else nothing is killed
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    done = finish(start(*arguments))
    assert done.status == 0, done.stderr
    found, expected = folder.trials(), RunFolder.open(inherited).trials()
    assert [(r.number, r.candidate, r.parent, r.scores, r.curve) for r in found] == [
        (r.number, r.candidate, r.parent, r.scores, r.curve) for r in expected
    ]


def test_where_no_weights_are_left_a_child_begins_anew(copy):
    shutil.rmtree(copy.path / "weights")
    whole = copy.trials_file.read_text().splitlines(keepends=True)
    copy.trials_file.write_text("".join(whole[:-1]))
    assert Running(copy, 3, Silent()).next_task().parent is None


def test_a_budget_of_epochs_counts_children_by_theirs(folder, images):
    write_lamarckian(folder.path / "run.toml", images)
    done = senet_nas("search", "run.toml", "--out", "out", "--set", "budget.epochs=15")
    assert done.status == 0, done.stderr
    assert [record.epochs for record in folder.trials()] == [3] * POPULATION + [1] * 3


def test_it_does_not_go_with_rungs(folder, images):
    run = write_lamarckian(folder.path / "run.toml", images)
    run.write_text(run.read_text() + "\n[fidelity]\nfirst = 1\n")
    assert "fidelity: lamarckian trains children" in refused("search", "run.toml", "--out", "out")
    assert folder.holds() == {"run.toml"}
