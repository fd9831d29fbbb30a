"""Choosing a network: a trial of a run by number, hash or as the knee; a name; a file."""

import json

import pytest

from search_space import InputError, load, published
from senet_nas.analysis import choose, front_of, read_architecture, write_front
from senet_nas.analysis.selection import pick
from senet_nas.search import RunFolder, TrialRecord

GOALS = {"accuracy": "max", "macs": "min"}


def record(number, architecture, accuracy=50.0):
    scores = None if accuracy is None else {"accuracy": accuracy, "macs": 1.0 + number}
    return TrialRecord(number, (number,), architecture, scores)


RECORDS = [
    record(0, "aa11"), record(1, "aa22", 60.0), record(12, "12bb", 70.0), record(3, "cc33", None)
]  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "number"),
    [("0", 0), ("1", 1), ("12", 12), ("aa1", 0), ("aa22", 1), ("12b", 12)],
)
def test_a_trial_is_found_by_its_number_or_the_beginning_of_its_hash(arch, number):
    assert pick(RECORDS, GOALS, arch, "here").number == number


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        ("3", "here: no finished trial '3'"),
        ("7", r"allowed: a trial's number up to 12"),
        ("aa", "'aa' begins several hashes"),
        ("xyz", "no finished trial 'xyz'"),
        ("-1", "no finished trial '-1'"),
        ("", "begins several hashes"),
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
    choice = choose(str(finished), "2", None, None)
    trial = RunFolder.open(finished).trials()[2]
    assert choice.architecture == load("cifar_tiny").build(trial.candidate)
    assert (choice.data, choice.image_size) == (str(images), 16)
    assert choice.out.parent == finished
    assert choose(str(finished), "2", "other", tmp_path).data == "other"
    assert choose(str(finished), "2", "other", tmp_path).out == tmp_path


def test_a_name_or_a_file_gives_its_network(tmp_path):
    file = tmp_path / "net.json"
    file.write_text(published("se_cifar_resnet20").to_json(indent=1))
    for text in ("se_cifar_resnet20", str(file)):
        assert read_architecture(text) == published("se_cifar_resnet20")
        assert choose(text, None, None, None).architecture == published("se_cifar_resnet20")
    with pytest.raises(InputError, match="--arch goes with a run's folder"):
        choose(str(file), "3", None, None)


def test_the_written_front_builds_every_network(finished):
    folder = RunFolder.open(finished)
    data = json.loads(write_front(folder).read_text())
    space = load("cifar_tiny")
    for point in data["points"]:
        file = folder.path / "net.json"
        file.write_text(json.dumps(point["network"]))
        assert read_architecture(str(file)) == space.build(tuple(point["candidate"]))
        file.unlink()
