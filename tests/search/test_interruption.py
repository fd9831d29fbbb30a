"""A search that is killed or interrupted goes on, and finds what it would have found."""

import os
import shutil
import signal
import time

import pytest
from commands import TRIALS, finish, lines, senet_nas, start, wait_for, write_run

from search_space import InputError, load
from senet_nas.search import RunFolder, load_run_file
from senet_nas.search.running import Running


class Silent:
    """Progress that says nothing."""

    def start(self, run, records): ...

    def tick(self, elapsed_seconds): ...

    def finished(self, record): ...


@pytest.fixture(scope="module")
def uninterrupted(finished):
    """The records of a run that nothing disturbed."""
    return RunFolder.open(finished).trials()


def kill(process, group: bool) -> None:
    """As `kill -9` does, or as the end of a terminal does to all of its processes."""
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def interrupted(folder, moments) -> None:
    """Start the run again and again; kill it at each of these moments, then let it end.

    A moment: how many trials more to wait for, how many seconds after them, whether the workers
    die with the process, and whether that was in the middle of a line.
    """
    out = folder.path / "out"
    arguments = ("search", folder.path / "run.toml", "--out", out, "--resume")
    for trials, seconds, group, cut in moments:
        wanted = lines(out / "trials.jsonl") + trials
        process = start(*arguments)
        wait_for(lambda wanted=wanted: lines(out / "trials.jsonl") >= wanted)
        time.sleep(seconds)
        assert process.poll() is None  # else nothing is killed
        kill(process, group)
        if cut:
            cut_last_line(out / "trials.jsonl")
    done = finish(start(*arguments))
    assert done.status == 0, done.stderr


def assert_same_search(found, expected) -> None:
    assert [record.number for record in found] == list(range(len(expected)))
    assert [record.candidate for record in found] == [record.candidate for record in expected]
    assert [record.scores for record in found] == [record.scores for record in expected]
    assert [record.curve for record in found] == [record.curve for record in expected]
    assert [record.parents for record in found] == [record.parents for record in expected]


@pytest.mark.slow
def test_killed_at_any_moment_it_finds_what_it_would_have_found(folder, uninterrupted):
    moments = [(0, 1.5, False, False), (1, 0.05, True, False), (2, 0.0, False, True)]
    interrupted(folder, moments)
    assert_same_search(folder.trials(), uninterrupted)


@pytest.mark.slow
def test_killed_ten_times_it_finds_what_it_would_have_found(folder, images):
    write_run(folder.path / "run.toml", images, 60)
    whole = finish(start("search", folder.path / "run.toml", "--out", folder.path / "whole"))
    assert whole.status == 0, whole.stderr
    starting = [(0, seconds, seconds > 3, False) for seconds in (0.3, 3.0, 4.5)]
    running = [(1 + n % 3, 0.031 * n, n % 2 == 0, n % 3 == 0) for n in range(7)]
    interrupted(folder, starting + running)
    assert_same_search(folder.trials(), folder.trials("whole"))


def test_an_interrupt_ends_it_in_one_line(folder, uninterrupted):
    out, more = folder.path / "out", 3 * TRIALS  # many: on a busy machine, it mustn't end first
    folder.replace(f"trials = {TRIALS}", f"trials = {more}")
    process = start("search", folder.path / "run.toml", "--out", out)
    wait_for(lambda: lines(out / "trials.jsonl") >= 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    done = finish(process)
    assert done.status == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: interrupted")
    assert all(
        line.startswith(("starting", "trial", "error:")) for line in done.stderr.splitlines()
    )
    assert finish(start("resume", out)).status == 0
    found = folder.trials()
    assert len(found) == more
    assert_same_search(found[:TRIALS], uninterrupted)  # a budget doesn't change what is asked


def cut_last_line(path) -> None:
    """What a kill in the middle of a write leaves."""
    whole = path.read_bytes()
    assert whole.endswith(b"\n")
    path.write_bytes(whole[:-40])


def test_a_half_line_is_said(finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    cut_last_line(out / "trials.jsonl")
    done = finish(start("front", out, "--json"))
    assert done.data()["trials"] == TRIALS - 1
    assert done.stderr == f"{out / 'trials.jsonl'}: line {TRIALS} is cut short and left out\n"


@pytest.mark.parametrize("end", [1, 10, 40])
def test_reading_leaves_a_half_line_where_it_is(finished, tmp_path, caplog, end):
    folder = RunFolder(shutil.copytree(finished, tmp_path / "out"))
    cut = folder.trials_file.read_bytes()[:-end]
    folder.trials_file.write_bytes(cut)
    assert len(folder.trials()) == TRIALS - 1
    assert f"line {TRIALS} is cut short" in caplog.text
    assert folder.trials_file.read_bytes() == cut
    folder.drop_half_line()
    assert folder.trials_file.read_bytes() == cut[: cut.rfind(b"\n") + 1]


DAMAGE = {
    "cut": lambda line: line[:50],
    "not JSON": lambda line: "x" + line,
    "another key": lambda line: line.replace('"number"', '"nummer"'),
    "no object": lambda line: "[1, 2]",
    "empty": lambda line: "",
    "a score that is a text": lambda line: line.replace('"accuracy": ', '"accuracy": "x", "y": '),
    "an unknown option": lambda line: line.replace('"candidate": [', '"candidate": [99, '),
    "a trial twice": None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_line_in_the_middle_is_named(damage, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    text = (out / "trials.jsonl").read_text().splitlines()
    text[1] = text[0] if DAMAGE[damage] is None else DAMAGE[damage](text[1])
    damaged = "\n".join(text) + "\n"
    (out / "trials.jsonl").write_text(damaged)
    done = senet_nas("resume", out)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {out / 'trials.jsonl'}: line 2")
    assert done.stderr.count("\n") == 1
    assert (out / "trials.jsonl").read_text() == damaged


def test_what_a_kill_leaves_of_a_new_run_is_no_obstacle(folder, monkeypatch):
    """The process died while it wrote `run.toml`."""
    monkeypatch.setattr("senet_nas.search.running.Running.execute", lambda self: None)
    out = folder.path / "out"
    out.mkdir()
    (out / ".run.toml.123.abcd").write_text("[spa")
    assert "already exists" not in senet_nas("search", "run.toml", "--out", out, "--resume").stderr
    assert RunFolder.open(out).run_file().space.name == "cifar_tiny"


def asked_after(folder, count: int):
    """What a search would try next after the first `count` lines of its record."""
    whole = folder.trials_file.read_text().splitlines(keepends=True)
    folder.trials_file.write_text("".join(whole[:count]))
    running = Running(folder, 3, Silent())
    assert [trial.candidate for trial in running.strategy.trials] == [
        record.candidate for record in running.records
    ]
    return running.ask()


@pytest.mark.parametrize("count", range(TRIALS - 1))
def test_the_record_alone_decides_what_comes_next(count, finished, tmp_path):
    folder = RunFolder(shutil.copytree(finished, tmp_path / "out"))
    following = folder.trials()[count]
    assert asked_after(folder, count) == (following.number, following.candidate)


def test_the_order_of_lines_is_the_order_of_learning(finished, tmp_path):
    """Several workers finish in another order than they began: the record keeps it."""
    folder = RunFolder(shutil.copytree(finished, tmp_path / "out"))
    whole = folder.trials_file.read_text().splitlines(keepends=True)
    folder.trials_file.write_text("".join([whole[2], whole[0], whole[1]]))
    running = Running(folder, 3, Silent())
    assert [record.number for record in running.records] == [2, 0, 1]
    assert [trial.candidate for trial in running.strategy.trials] == [
        record.candidate for record in running.records
    ]
    number, candidate = running.ask()
    assert number == 3
    assert candidate not in {record.candidate for record in running.records}


def test_two_searches_cannot_hold_one_folder(finished, tmp_path):
    folder = RunFolder(shutil.copytree(finished, tmp_path / "out"))
    taken = pytest.raises(InputError, match="another process is running this search")
    with folder.lock(), taken, folder.lock():
        raise AssertionError("two hold it")
    with folder.lock():  # let go
        assert len(folder.trials()) == TRIALS


def test_the_space_of_a_run_may_not_change_under_it(finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    text = (out / "run.toml").read_text()
    fingerprint = load("cifar_tiny").fingerprint()
    (out / "run.toml").write_text(text.replace(fingerprint, "0123456789abcdef"))
    with pytest.raises(InputError, match="have changed since this run began"):
        load_run_file(out / "run.toml")
    assert senet_nas("resume", out).status == 2
