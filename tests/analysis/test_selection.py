"""Choosing a network: a trial of a run by number, hash or as the knee; a name; a file."""

import json
from pathlib import Path

import pytest

from search_space import SE, InputError, load, published
from senet_nas import cost
from senet_nas.analysis import choose, front_of, read_architecture, write_front
from senet_nas.analysis.selection import pick, with_se
from senet_nas.search import RunFolder, TrialRecord

GOALS = {"accuracy": "max", "macs": "min"}


def record(number, architecture, accuracy=50.0):
    scores = None if accuracy is None else {"accuracy": accuracy, "macs": 1.0 + number}
    reason = "diverged" if scores is None else None
    return TrialRecord(number, (number,), architecture, scores, reason)


RECORDS = [
    record(0, "aa11bb"), record(1, "aa11cc", 60.0), record(12, "3333bb", 70.0),
    record(3, "cc33dd", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "number"),
    [("0", 0), ("1", 1), ("12", 12), ("aa11b", 0), ("aa11cc", 1), ("3333", 12)],
)
def test_a_trial_is_found_by_its_number_or_the_beginning_of_its_hash(arch, number):
    assert pick(RECORDS, GOALS, arch, "here").number == number


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        ("3", "here: trial 3 failed: diverged"),  # and not the network whose hash begins so
        ("7", r"allowed: a trial's number up to 12"),
        ("aa11", "'aa11' begins several hashes"),
        ("aa1", "at least 4 digits"),
        ("xyzxyz", "no trial 'xyzxyz'"),
        ("-1", "no trial '-1'"),
        ("", "no trial ''"),
    ],
)
def test_what_names_no_finished_trial_is_refused(arch, said):
    with pytest.raises(InputError, match=said):
        pick(RECORDS, GOALS, arch, "here")


def test_without_a_name_it_is_the_knee():
    assert pick(RECORDS, GOALS, None, "here").number == front_of(RECORDS, GOALS).knee().number
    with pytest.raises(InputError, match=r"here: .*no finished trial"):
        pick(RECORDS[3:], GOALS, None, "here")


def test_a_run_gives_its_data_and_its_size(finished, images, tmp_path):
    choice = choose(str(finished), "2", None, None, "cifar_quick")
    trial = RunFolder.open(finished).trials()[2]
    assert choice.architecture == load("cifar_tiny").build(trial.candidate)
    assert (choice.data, choice.image_size) == (str(images), 16)
    assert choice.out == finished / f"retrain-{trial.architecture}-cifar_quick"
    assert choose(str(finished), "2", "other", tmp_path, "x.toml").data == "other"
    assert choose(str(finished), "2", "other", tmp_path, "x.toml").out == tmp_path


@pytest.mark.parametrize("name", ["net.json", "net"])
def test_a_name_or_a_file_gives_its_network(name, tmp_path):
    file = tmp_path / name
    file.write_text(published("se_cifar_resnet20").to_json(indent=1))
    for text in ("se_cifar_resnet20", str(file)):
        assert read_architecture(text) == published("se_cifar_resnet20")
        chosen = choose(text, None, None, None, "my/fast.toml")
        assert chosen.architecture == published("se_cifar_resnet20")
        assert chosen.out == Path(f"runs/out/retrain-{Path(text).stem}-fast")
    with pytest.raises(InputError, match="--arch goes with a run's folder"):
        choose(str(file), "3", None, None, "cifar_quick")


def test_the_written_front_builds_every_network(finished):
    folder = RunFolder.open(finished)
    data = json.loads(write_front(folder).read_text())
    space = load("cifar_tiny")
    for point in data["points"]:
        file = folder.path / "net.json"
        file.write_text(json.dumps(point["network"]))
        assert read_architecture(str(file)) == space.build(tuple(point["candidate"]))
        file.unlink()


def test_settings_of_se_reach_every_se_and_nothing_else():
    plain = with_se(published("se_resnet50"), ["se.bias=false", "se.r=4"])
    gates = {block.se for _, block in plain.blocks()}
    assert gates == {None, SE(r=4, bias=False)}
    assert cost(plain).params == 35_616_808
    assert with_se(published("resnet50"), []) == published("resnet50")
    with pytest.raises(InputError, match="no SE to change"):
        with_se(published("resnet50"), ["se.r=4"])


@pytest.mark.parametrize("setting", ["r=4", "se.ratio=4", "se.r=0", "se.r", "block.kernel=5"])
def test_other_settings_are_refused(setting):
    with pytest.raises(InputError):
        with_se(published("se_resnet50"), [setting])
