"""Training in rungs from the command line: who is promoted goes on from where it was paused."""

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

TRIALS = 9
RUNGS = """
[fidelity]
rungs = [{ epochs = 1 }, { epochs = 2 }, { epochs = 4 }]
reduction = 2
waiting = 2
"""


class Silent:
    """Progress that says nothing."""

    def start(self, run, records): ...

    def tick(self, elapsed_seconds): ...

    def finished(self, record): ...


def write_rungs(path, images, rungs=RUNGS):
    run = write_run(path, images, TRIALS)
    run.write_text(run.read_text().replace("epochs = 1\n", "") + rungs)
    return run


@pytest.fixture(scope="module")
def halved(tmp_path_factory, images):
    """The folder of a search in rungs that ran to its end. Tests copy what they change."""
    path = tmp_path_factory.mktemp("halved")
    done = senet_nas("search", write_rungs(path / "run.toml", images), "--out", path / "out")
    assert done.status == 0, done.stderr
    assert "left out" in done.stdout
    return path / "out"


@pytest.fixture
def copy(halved, tmp_path):
    return RunFolder(shutil.copytree(halved, tmp_path / "copy"))


def by_rung(records):
    return [[record.number for record in records if record.rung == rung] for rung in range(3)]


def test_one_in_two_goes_on_at_every_rung(halved):
    records = RunFolder.open(halved).trials()
    low, middle, high = by_rung(records)
    assert sorted(low) == list(range(TRIALS))
    assert set(high) < set(middle) < set(low)
    assert TRIALS // 2 <= len(middle) < TRIALS
    assert len(middle) // 2 <= len(high) < len(middle)
    assert [len(record.curve) for record in records] == [1 + (r.rung == 2) for r in records]
    assert {(record.rung, record.epochs) for record in records} == {(0, 1), (1, 1), (2, 2)}
    assert sum(record.epochs for record in records) <= 0.5 * TRIALS * 4


def test_a_promoted_trial_is_the_one_that_was_never_paused(halved):
    """Trained at a stretch by the same evaluation, a network is the same to the last bit."""
    folder = RunFolder.open(halved)
    records = [record for record in folder.trials() if record.rung == 2]
    run = folder.run_file()
    assert (run.evaluation.epochs, [rung.epochs for rung in run.fidelity.rungs]) == (4, [1, 2, 4])
    in_full = Evaluator(run.evaluation)
    for record in records[:2]:
        again = in_full(load("cifar_tiny").build(record.candidate))
        assert again.scores == pytest.approx(record.scores, rel=1e-5)
        assert again.curve[2:] == pytest.approx(record.curve, rel=1e-3)


def test_the_front_is_of_the_last_rung_and_says_so(halved):
    records = RunFolder.open(halved).trials()
    high = by_rung(records)[2]
    data = senet_nas("front", halved, "--json").data()
    assert (data["trials"], data["rung"], data["below"]) == (TRIALS, 2, TRIALS - len(high))
    scores = {record.number: record.scores for record in records if record.rung == 2}
    assert {point["number"] for point in data["points"]} <= set(high)
    assert all(point["scores"] == scores[point["number"]] for point in data["points"])
    assert data["reference"]["accuracy"] == min(s["accuracy"] for s in scores.values())


def test_what_lies_on_disk_is_bounded_and_is_what_can_go_on(halved):
    running = Running(RunFolder.open(halved), 3, Silent())
    paused = running._halving._rungs.paused
    on_disk = {path.stem for path in (halved / "paused").iterdir()}
    assert on_disk == {f"{trial}-{rung}" for trial, rung in paused.items()}
    for rung in (0, 1):
        assert list(paused.values()).count(rung) <= 3


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments",
    [
        [(6, 0.03)],
        [(1, 0.0), (3, 0.04), (2, 0.02), (4, 0.01)],
    ],
    ids=["once", "four times"],
)
def test_killed_it_finds_what_it_would_have_found(moments, folder, images, halved):
    write_rungs(folder.path / "run.toml", images)
    out = folder.path / "out"
    arguments = ("search", folder.path / "run.toml", "--out", out, "--resume")
    for more, seconds in moments:
        wanted = lines(out / "trials.jsonl") + more
        process = start(*arguments)
        wait_for(lambda wanted=wanted: lines(out / "trials.jsonl") >= wanted)
        time.sleep(seconds)
        assert process.poll() is None  # else nothing is killed
        kill(process)
    done = finish(start(*arguments))
    assert done.status == 0, done.stderr
    found, expected = folder.trials(), RunFolder.open(halved).trials()
    assert [(r.number, r.rung, r.candidate, r.scores, r.curve) for r in found] == [
        (r.number, r.rung, r.candidate, r.scores, r.curve) for r in expected
    ]


def cut(folder, count):
    whole = folder.trials_file.read_text().splitlines(keepends=True)
    folder.trials_file.write_text("".join(whole[:count]))
    return folder.trials()


def first_promotion(folder):
    return next(i for i, record in enumerate(folder.trials()) if record.rung == 1)


def test_a_trial_whose_state_is_gone_is_not_promoted(copy):
    """Nor trained anew: what others finish decides who goes on in its place."""
    at = first_promotion(copy)
    due = copy.trials()[at]
    cut(copy, at)
    shutil.rmtree(copy.path / "paused")
    task = Running(copy, 3, Silent()).next_task()
    assert (task.rung, task.number) == (0, 1 + max(r.number for r in copy.trials()))
    assert task.number != due.number


def test_a_state_of_another_trial_is_refused(copy):
    states = Paused(copy.path / "paused")
    name = next((copy.path / "paused").iterdir()).stem
    trial, rung = map(int, name.split("-"))
    with pytest.raises(ValueError, match="the state of another trial"):
        states.load(trial, rung, "0123456789abcdef")


def test_what_a_kill_left_half_written_is_swept_away(copy):
    (copy.path / "paused" / ".7-0.safetensors.12.ab").write_text("half")
    (copy.path / "paused" / "777-0.safetensors").write_text("of no recorded trial")
    assert senet_nas("resume", copy.path).status == 0
    names = {path.name for path in (copy.path / "paused").iterdir()}
    assert not names & {".7-0.safetensors.12.ab", "777-0.safetensors"}


@pytest.mark.slow
def test_a_larger_budget_promotes_those_that_waited(copy, halved):
    assert senet_nas("resume", copy.path, "--set", f"budget.trials={TRIALS + 3}").status == 0
    before, after = RunFolder.open(halved).trials(), copy.trials()
    assert after[: len(before)] == before
    assert len({record.number for record in after}) == TRIALS + 3
    assert {record.rung for record in after[len(before) :]} >= {0, 1}


@pytest.mark.parametrize("rungs", [RUNGS, ""])
def test_a_budget_of_epochs_is_never_exceeded(rungs, folder, images):
    write_rungs(folder.path / "run.toml", images, rungs)
    sets = ("--set", "budget.epochs=7", "--set", "evaluation.epochs=4")
    done = senet_nas("search", "run.toml", "--out", "out", *sets, "--json")
    assert done.status == 0, done.stderr
    spent = sum(record.epochs for record in folder.trials())
    assert spent == (6 if rungs else 4)  # the next would take two more
    assert senet_nas("resume", "out").status == 0
    assert sum(record.epochs for record in folder.trials()) == spent


@pytest.mark.slow
def test_rungs_of_smaller_images_and_parts_of_them(folder, images):
    rungs = """
[fidelity]
rungs = [{ epochs = 1, image_size = 8, fraction = 0.5 }, { epochs = 2 }]
reduction = 2
"""
    write_rungs(folder.path / "run.toml", images, rungs)
    sets = ("--set", "budget.trials=2", "--set", "resources.workers=2")
    done = senet_nas("search", "run.toml", "--out", "out", *sets, "--json")
    assert done.status == 0, done.stderr
    records = folder.trials()
    assert [record.epochs for record in records] == [1 / 8, 1 / 8, 1.0]
    costs = {(r.number, r.scores["macs"]) for r in records}
    assert len(costs) == 2  # of the full image size at every rung


WRONG = {
    "rungs = [{ epochs = 1 }]": "two rungs at least",
    "rungs = [{ epochs = 2 }, { epochs = 2 }]": "epochs must rise, not 2 to 2",
    "rungs = [{ epochs = 1, image_size = 20 }, { epochs = 2 }]": "image_size 20 is above",
    "rungs = [{ epochs = 1 }, { epochs = 2, fraction = 0.5 }]": "the last must be the evaluation",
    "rungs = [{ epochs = 1, image_size = 4 }, { epochs = 2 }]": "image_size 4",
    "rungs = [{ epoch = 1 }, { epochs = 2 }]": "'epoch' is not known; did you mean 'epochs'?",
    "first = 1\nreduction = 1": "fidelity.reduction",
    "first = 3": "two rungs at least",
    "first = 1\nrungs = [{ epochs = 1 }, { epochs = 2 }]": "give one of rungs and first",
    "": "give one of rungs and first",
}


@pytest.mark.parametrize("section", WRONG)
def test_wrong_rungs_are_refused(section, folder, images):
    write_rungs(folder.path / "run.toml", images, f"\n[fidelity]\n{section}\n")
    assert WRONG[section] in refused("search", "run.toml", "--out", "out")
    assert folder.holds() == {"run.toml"}


def test_geometric_rungs_end_in_the_evaluation_in_full(folder, images):
    write_rungs(folder.path / "run.toml", images, "\n[fidelity]\nfirst = 2\n")
    run = ("search", "run.toml", "--dry-run", "--json", "--set", "evaluation.epochs=20")
    from senet_nas.search import load_run_file

    loaded = load_run_file(folder.path / "run.toml", ["evaluation.epochs=20"])
    assert [rung.epochs for rung in loaded.fidelity.rungs] == [2, 6, 20]
    assert loaded.epochs_a_trial() == pytest.approx(2 + 4 / 3 + 14 / 9)
    assert senet_nas(*run).data()["trials"] == TRIALS
