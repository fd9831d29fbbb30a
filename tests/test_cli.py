"""The command line: what it prints, what it refuses, and retraining from a run's front."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import (
    finish,
    lines,
    one_error,
    refused,
    senet_nas,
    start,
    wait_for,
    write_images,
    write_run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space import InputError, load, published, space_names
from senet_nas.analysis import read_architecture
from senet_nas.cli import main
from senet_nas.search import RunFolder
from senet_nas.training import load_checkpoint

COMMANDS = ("search", "resume", "front", "cost", "space", "retrain", "evaluate", "export")


@pytest.fixture
def brisk(tmp_path):
    """A recipe for two short epochs."""
    text = "epochs = 2\nbatch_size = 8\nlearning_rate = 0.05\nprecision = 'fp32'\n"
    (tmp_path / "brisk.toml").write_text(text)
    return tmp_path / "brisk.toml"


@pytest.mark.parametrize("arguments", [["--help"], ["cost", "--help"], ["search", "--help"]])
def test_help_imports_neither_torch_nor_ray(arguments):
    program = f"""
import sys
from senet_nas.cli import main
sys.argv = ["senet-nas", *{arguments}]
try:
    main()
finally:
    print([name for name in ("torch", "ray") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Usage" in done.stdout


def test_help_names_every_command():
    done = senet_nas("--help")
    assert done.status == 0
    for command in COMMANDS:
        assert command in done.stdout
        assert senet_nas(command, "--help").status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serach"], "serach"),
        (["cost"], "NAME"),
        (["cost", "resnet50", "--image-sise", "3"], "--image-sise"),
        (["cost", "resnet50", "--image-size", "0"], "--image-size"),
        (["cost", "resnet50", "--classes", "many"], "--classes"),
        (["retrain", "resnet50"], "--recipe"),
        (["evaluate", "x", "--split", "val"], "val"),
        (["front"], "DIR"),
        (["front", "x", "--json", "--csv"], "--csv"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(arguments, said):
    assert said in refused(*arguments)


def test_without_arguments_it_shows_its_help():
    done = senet_nas()
    assert "Usage" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "error:" not in done.stderr


def test_a_mistake_is_told_by_the_process_too(tmp_path):
    done = finish(start("cost", "resnet51", "--json"))
    assert (done.status, done.stdout) == (2, "")
    assert "did you mean" in one_error(done.stderr)


@pytest.mark.parametrize(
    ("name", "params"), [("se_resnet50", 28_088_024), ("resnet50", 25_557_032)]
)
def test_cost_of_the_published(name, params):
    done = senet_nas("cost", name, "--json")
    assert done.data()["params"] == params
    assert done.data().keys() == {"params", "macs", "activations"}
    assert f"{params:,}" in senet_nas("cost", name).stdout


def test_cost_without_the_biases_of_se(tmp_path):
    text = published("se_resnet50").to_json().replace('"se": {', '"se": {"bias": false, ')
    (tmp_path / "net.json").write_text(text)
    assert senet_nas("cost", tmp_path / "net.json", "--json").data()["params"] == 28_071_976


def test_cost_follows_size_and_classes_and_measures_latency():
    done = senet_nas(
        "cost", "cifar_resnet20", "--image-size", 32, "--classes", 10, "--latency", "--json"
    )
    data = done.data()
    assert done.status == 0
    assert data["latency_ms"] > 0
    wider = senet_nas("cost", "cifar_resnet20", "--image-size", 64, "--classes", 10, "--json")
    assert wider.data()["params"] == data["params"]
    assert 3.9 * data["macs"] < wider.data()["macs"] <= 4 * data["macs"]


BLOCK = {"cell": "basic", "channels": 8}
WRONG_NETWORKS = {
    "not JSON": ("{", "not JSON"),
    "no object": ("[]", "must be an object"),
    "no stem": ({"stages": []}, "'stem' is missing"),
    "an unknown key": ({"stem": [], "stages": [], "hat": 1}, "'hat' is not known"),
    "an unknown cell": ({"stem": [], "stages": [[BLOCK | {"cell": "basik"}]]}, "'basik'"),
    "an unknown setting": ({"stem": [], "stages": [[BLOCK | {"widht": 3}]]}, "'widht'"),
    "an unknown setting of SE": (
        {"stem": [], "stages": [[BLOCK | {"se": {"ratio": 3}}]]},
        "'ratio' is not known",
    ),
    "an even kernel": ({"stem": [], "stages": [[BLOCK | {"kernel": 2}]]}, "stages.0.0: block.ker"),
    "no channels": ({"stem": [], "stages": [[BLOCK | {"channels": 0}]]}, "block.channels"),
    "text for a number": ({"stem": [], "stages": [[BLOCK | {"channels": "8"}]]}, "block.channels"),
    "groups that do not divide": ({"stem": [], "stages": [[BLOCK | {"groups": 3}]]}, "groups = 3"),
    "more than any machine holds": (
        {"stem": [], "stages": [[BLOCK | {"channels": 10**30}]]},
        "channels or kernels are too many",
    ),
    "more digits than Python reads": (
        '{"stem": [{"cell": "conv", "channels": ' + "9" * 5000 + '}], "stages": []}',
        "not JSON",
    ),
    "wider than any number": (
        {"stem": [{"cell": "inverted_residual", "channels": 8, "expansion": 1e308}], "stages": []},
        "channels or kernels are too many",
    ),
    "a number that is none": ('{"stem": [], "stages": [], "head": {"dropout": NaN}}', "dropout"),
    "deeper than anything": ("[" * 100_000, "JSON"),
}


@pytest.mark.parametrize("name", WRONG_NETWORKS)
def test_a_wrong_architecture_is_refused(name, tmp_path):
    content, said = WRONG_NETWORKS[name]
    file = tmp_path / "net.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    message = refused("cost", file, "--json")
    assert said in message
    assert "net.json" in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["stem", "stages", "head", "cell", "channels", "se", "r", "blocks", "extra", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=json_values, where=st.sampled_from(["whole", "stem", "block", "se", "head"]))
def test_no_json_at_all_gives_a_traceback(value, where, tmp_path_factory):
    data = {
        "whole": value,
        "stem": {"stem": value, "stages": []},
        "block": {"stem": [value], "stages": []},
        "se": {"stem": [{"cell": "conv", "channels": 8, "se": value}], "stages": []},
        "head": {"stem": [], "stages": [], "head": value},
    }[where]
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(data))
    try:
        read_architecture(str(file))
    except InputError as error:
        assert str(error).startswith(str(file))


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path):
    (tmp_path / "net.json").write_bytes(b"\xff\xfe\x00")
    assert "net.json" in refused("cost", tmp_path / "net.json")
    assert "absent.json" in refused("cost", tmp_path / "absent.json")
    assert str(tmp_path) in refused("cost", tmp_path)


@pytest.mark.parametrize("name", space_names())
def test_space_describes_itself(name):
    data = senet_nas("space", name, "--samples", 5, "--json").data()
    space = load(name)
    assert data["size"] == space.size()
    assert data["fingerprint"] == space.fingerprint()
    assert [d["name"] for d in data["decisions"]] == [d.name for d in space.decisions]
    assert [len(d["options"]) for d in data["decisions"]] == [
        len(d.options) for d in space.decisions
    ]
    low, high = data["cost"]["macs"]
    assert 0 < low <= high
    assert name in senet_nas("space", name, "--samples", 2).stdout


def test_retraining_the_knee_and_evaluating_it(finished, brisk, images, tmp_path):
    out = tmp_path / "out"
    done = senet_nas("retrain", finished, "--recipe", brisk, "--out", out, "--json")
    assert done.status == 0, done.stderr
    data = done.data()
    knee = next(p for p in senet_nas("front", finished, "--json").data()["points"] if p["knee"])
    checkpoint = load_checkpoint(data["checkpoint"])
    assert checkpoint.architecture == load("cifar_tiny").build(tuple(knee["candidate"]))
    assert (checkpoint.image_size, checkpoint.classes) == (16, ("airplane", "cat", "ship"))
    assert (data["epochs"], data["train_images"], data["test_images"]) == (2, 48, 18)
    assert data["params"] == knee["scores"]["params"]
    assert lines(out / "metrics.jsonl") == 2

    result = json.loads((out / "result.json").read_text())
    evaluated = senet_nas("evaluate", data["checkpoint"], "--data", images, "--json").data()
    assert evaluated["top1"] == data["test_top1"] == result["top1"]
    assert evaluated["loss"] == pytest.approx(result["test_loss"], rel=1e-5)
    assert evaluated["count"] == 18
    others = senet_nas(
        "evaluate", data["checkpoint"], "--data", images, "--split", "train", "--json"
    )
    assert others.data()["count"] == 48

    again = senet_nas("retrain", finished, "--recipe", brisk, "--out", out, "--json")
    assert again.data() == data
    assert "epoch" not in again.stderr  # it had finished
    message = refused("retrain", finished, "--recipe", brisk, "--out", out, "--seed", 1)
    assert "another seed" in message


def test_one_set_may_have_several_pairs(tmp_path):
    values = [
        senet_nas("cost", "se_resnet50", *sets, "--json").data()
        for sets in (
            ["--set", "se.r=8", "se.excitation=hard_sigmoid"],
            ["--set", "se.r=8", "--set", "se.excitation=hard_sigmoid"],
            [],
        )
    ]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("network", "assignment", "said"),
    [
        ("resnet50", "se.r=8", "no SE to change"),
        ("se_resnet50", "se.ratio=8", "'ratio' is not known"),
        ("se_resnet50", "se.r=2020-01-01", "date"),
        ("se_resnet50", "se.divisor=9999999999999999999999", "too many"),
    ],
)
def test_a_setting_that_no_se_can_have_is_refused(network, assignment, said):
    assert said in refused("cost", network, "--set", assignment)


@pytest.mark.parametrize("command", ["cost", "front", "report", "watch", "evaluate"])
def test_a_path_that_cannot_be_is_one_line(command):
    assert "File name too long" in refused(command, "x" * 300)


@pytest.mark.parametrize(("number", "status"), [(errno.EACCES, 2), (errno.ENOSPC, 1)])
def test_what_the_system_refuses_is_one_line(number, status, tmp_path, monkeypatch, capsys):
    def fail(self):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "is_file", fail)
    monkeypatch.setattr(sys, "argv", ["senet-nas", "front", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    said = f"error: {tmp_path / 'run.toml'}: {os.strerror(number)}\n"
    assert capsys.readouterr().err == said


def test_retraining_a_trial_by_number_or_hash(finished, brisk, tmp_path):
    records = RunFolder.open(finished).trials()
    space = load("cifar_tiny")
    for index, arch in enumerate(["1", records[2].architecture, records[3].architecture[:8]]):
        arguments = ("--recipe", brisk, "--set", "epochs=1", "--arch", arch)
        out = tmp_path / arch
        done = senet_nas("retrain", finished, *arguments, "--out", out, "--json")
        assert done.status == 0, done.stderr
        found = load_checkpoint(out / "checkpoint.safetensors").architecture
        assert found == space.build(records[index + 1].candidate)
        assert done.data()["epochs"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arch", "99"], "no trial '99'"),
        (["--arch", "zz"], "no trial 'zz'"),
        (["--recipe", "brsk"], "recipe 'brsk' is not known"),
        (["--recipe", "absent.toml"], "absent.toml"),
        (["--set", "epochs=0"], "recipe.epochs"),
        (["--set", "epochs=some"], "recipe.epochs"),
        (["--set", "epoch=1"], "'epoch' is not known"),
        (["--set", "epochs"], "key=value"),
        (["--data", "absent"], "absent"),
        (["--device", "tpu"], "'tpu' cannot be used"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_wrong_orders_to_retrain_are_refused(arguments, said, finished, brisk, tmp_path):
    out = tmp_path / "out"
    given = arguments if "--recipe" in arguments else ["--recipe", brisk, *arguments]
    assert said in refused("retrain", finished, "--out", out, *given)
    assert not out.exists()


def test_retraining_needs_a_network(tmp_path, brisk):
    assert "resnet51" in refused("retrain", "resnet51", "--recipe", brisk)
    assert "is not a run's folder" in refused("retrain", tmp_path, "--recipe", brisk)


def test_retraining_where_nothing_finished_is_refused(finished, brisk, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    (out / "trials.jsonl").unlink()
    assert "no finished trial" in refused("retrain", out, "--recipe", brisk)
    assert not list(out.glob("retrain*"))


def test_a_retraining_that_is_killed_goes_on_to_the_same_end(finished, brisk, tmp_path):
    arguments = ("retrain", finished, "--recipe", brisk, "--set", "epochs=12", "--arch", "0")
    assert senet_nas(*arguments, "--out", tmp_path / "whole").status == 0
    out = tmp_path / "killed"
    process = start(*arguments, "--out", out)
    wait_for(lambda: lines(out / "metrics.jsonl") >= 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "result.json").exists()
    assert senet_nas(*arguments, "--out", out).status == 0
    assert lines(out / "metrics.jsonl") == 12
    one, two = (
        load_checkpoint(tmp_path / n / "checkpoint.safetensors") for n in ("whole", "killed")
    )
    assert one.weights.keys() == two.weights.keys()
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_data_without_test_images_can_be_searched_and_retrained(brisk, tmp_path, images):
    data = write_images(tmp_path / "data", test=0)
    arguments = ("--recipe", brisk, "--data", data, "--set", "epochs=1", "--json")
    done = senet_nas("retrain", "cifar_resnet20", *arguments, "--out", tmp_path / "out")
    assert done.status == 0, done.stderr
    assert (done.data()["test_top1"], done.data()["test_images"]) == (None, 0)
    checkpoint = done.data()["checkpoint"]
    assert "no test images" in refused("evaluate", checkpoint, "--data", data)


def test_an_estimate_says_how_long_and_writes_nothing(folder, images):
    write_run(folder.path / "run.toml", images)
    data = senet_nas("search", "run.toml", "--out", "out", "--dry-run", "--json").data()
    assert (data["trials"], data["workers"]) == (10, 1)
    assert data["training_images"] + data["validation_images"] == 48
    assert data["total_seconds"] > 0
    assert folder.holds() == {"run.toml"}
