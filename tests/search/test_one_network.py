"""Searching where SE pays in one network: a published one, or a user's with its weights."""

import json
import sys

import numpy as np
import pytest
import torch
from commands import finish, one_error, refused, senet_nas, start, wait_for
from safetensors.torch import load_file, save_file

from search_space import Retrofit
from senet_nas import cost
from senet_nas.nn.foreign.source import load_source
from senet_nas.nn.trust import TRUST_VARIABLE
from senet_nas.search import load_run_file
from senet_nas.search.starting import START_FILE, make_start
from senet_nas.training import load_checkpoint

OWN = """
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x):
        branch = self.norm2(self.conv2(nn.functional.relu(self.norm1(self.conv1(x)))))
        return nn.functional.relu(x + branch)


def small(num_classes=1000):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), Block(16), Block(16), nn.Conv2d(16, 32, 3, 2, 1), Block(32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes),
    )


def listed():
    return [1, 2]
"""
PLACES = ["1.norm2", "2.norm2", "4.norm2"]


@pytest.fixture
def own(folder, monkeypatch):
    """The working folder with a module of the user's, weights of it, and a run over its SE."""
    (folder.path / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder.path)
    monkeypatch.setenv("PYTHONPATH", str(folder.path))
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    torch.manual_seed(5)
    source = load_source("own_networks:small", num_classes=3)
    save_file(source.model.state_dict(), folder.path / "own.safetensors")
    folder.replace(
        'name = "cifar_tiny"',
        'retrofit = "own_networks:small"\nweights = "own.safetensors"\nwhere = ["branch"]\n'
        "[space.se]\nr = [4, 8]",
    )
    folder.replace('macs = "min"', 'params = "min"\n\n[limits]\nparams = "+3%"')
    folder.replace("trials = 10", "trials = 6")
    return folder


@pytest.mark.slow
def test_a_users_network_is_searched_from_its_weights(own, monkeypatch):
    done = senet_nas("search", "run.toml", "--out", "out")
    assert done.status == 0, done.stderr
    run = load_run_file(own.path / "out" / "run.toml")
    space = run.space.open()
    assert [decision.name for decision in space.decisions] == PLACES
    records = own.trials()
    assert len(records) == 6
    base = Retrofit("own_networks:small")
    params = sum(tensor.numel() for tensor in load_source(base.source, 3).model.parameters())
    assert space.build(records[0].candidate) == base  # the network as it is comes first
    assert records[0].scores["params"] == params == cost(base, 16, 3).params
    for record in records:
        built = space.build(record.candidate)
        assert record.scores["params"] == cost(built, 16, 3).params <= 1.03 * params
        assert record.scores["macs"] == cost(built, 16, 3).macs
    given, kept = (load_file(own.path / name) for name in ("own.safetensors", f"out/{START_FILE}"))
    assert given.keys() == kept.keys()
    assert all(torch.equal(given[name], kept[name]) for name in given)

    (own.path / "own.safetensors").unlink()
    best = next(r for r in records if space.build(r.candidate).gates)
    done = senet_nas(
        "retrain", "out", "--arch", best.number, "--recipe", "proxy", "--out", "full",
        "--set", "epochs=1", "--set", "learning_rate=1e-9", "--set", "precision=fp32",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)
    checkpoint = own.path / "full" / "checkpoint.safetensors"
    assert f"set {TRUST_VARIABLE}=own_networks:small" in refused("evaluate", checkpoint)
    monkeypatch.setenv(TRUST_VARIABLE, "own_networks:small")
    trained = load_checkpoint(checkpoint)
    assert trained.architecture == space.build(best.candidate)
    for name, tensor in load_source(base.source, 3, seed=9).model.named_parameters():
        torch.testing.assert_close(trained.weights[name], given[name], rtol=0, atol=1e-5)
        assert tensor.shape == given[name].shape
    exported = senet_nas("export", checkpoint, "--format", "onnx", "--json")
    assert exported.data()["largest_difference"] < 1e-4

    places = senet_nas("places", "out", "--json").data()
    assert [place["name"] for place in places["places"]] == PLACES
    assert places["trials"] == 6


@pytest.mark.slow
def test_a_killed_search_over_a_users_network_goes_on(own):
    process = start("search", "run.toml", "--out", "out")
    wait_for((own.path / "out" / "trials.jsonl").exists)
    process.kill()
    process.wait()
    (own.path / "own.safetensors").unlink()
    done = finish(start("resume", "out"))
    assert done.status == 0, done.stderr
    candidates = [record.candidate for record in own.trials()]
    assert len(set(candidates)) == 6


def test_the_classifier_keeps_what_it_knows_of_the_classes(folder):
    whole = load_source("timm:test_resnet", weights="random", seed=3)
    save_file(whole.model.state_dict(), folder.path / "whole.safetensors")
    folder.replace(
        'name = "cifar_tiny"', 'retrofit = "timm:test_resnet"\nweights = "whole.safetensors"'
    )
    run = load_run_file(folder.path / "run.toml")
    some = (whole.classes[7], whole.classes[3])
    start = make_start(run, some)
    assert torch.equal(start.weights["fc.weight"], whole.model.fc.weight[[7, 3]])
    others = make_start(run, ("cat", "dog"))
    assert others.weights["fc.weight"].shape == start.weights["fc.weight"].shape
    assert not torch.equal(others.weights["fc.weight"], start.weights["fc.weight"])
    stem = next(iter(whole.model.state_dict()))
    assert torch.equal(others.weights[stem], start.weights[stem])


def test_the_places_of_a_published_network_are_searched(folder):
    folder.replace('name = "cifar_tiny"', 'published = "cifar_resnet20"\n[space.se]\nr = [2, 4]')
    folder.replace("trials = 10", "trials = 3")
    done = senet_nas("search", "run.toml", "--out", "out")
    assert done.status == 0, done.stderr
    space = load_run_file(folder.path / "out" / "run.toml").space.open()
    none, everywhere, _ = (space.build(record.candidate) for record in folder.trials())
    assert {block.se for _, block in none.blocks()} == {None}
    ratios = [block.se.r for path, block in everywhere.blocks() if path.startswith("stages")]
    assert ratios == [2.0] * 9
    assert len(senet_nas("places", "out", "--json").data()["places"]) == 9


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("", "space: give one of name, published, retrofit, not none"),
        ('name = "cifar_tiny"\nretrofit = "timm:test_resnet"', "not name and retrofit"),
        ('name = "cifar_tiny"\nwhere = ["branch"]', "space.where goes with space.retrofit"),
        ('published = "resnet19"', "network 'resnet19' is not known; did you mean"),
        ('published = "resnet18"\n[space.se]\nratio = 4', "space.se: key 'ratio' is not known"),
        ('published = "resnet18"\n[space.se]\nr = []', "space.se: a list of options is empty"),
        ('published = "resnet18"\n[space.se]\nr = 0', "se.r must be a number of at least 1"),
        ('retrofit = "timm:no_such_network"', "no_such_network"),
        ('retrofit = "nowhere:function"', "nowhere"),
        ('retrofit = "own_networks:listed"', "must return an nn.Module, not list"),
        ('retrofit = "timm:test_resnet"\nwhere = ["brnch"]', "'brnch'"),
        ('retrofit = "timm:test_resnet"\n[space.se]\nplacement = "pre"', "placement 'pre'"),
        ('retrofit = "timm:test_resnet"\nweights = "missing.pth"', "missing.pth: no such file"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(folder, monkeypatch, space, said):
    (folder.path / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder.path)
    folder.replace('name = "cifar_tiny"', space)
    assert said in refused("search", "run.toml", "--out", "out")
    assert not (folder.path / "out").exists()


@pytest.mark.parametrize("limit", ['"+5%"', '"5%"', '"+x"', "true", "-1"])
def test_limits_over_a_base_need_one_and_are_checked(folder, limit):
    folder.replace("[evaluation]", f"[limits]\nparams = {limit}\n\n[evaluation]")
    said = refused("search", "run.toml", "--out", "out")
    assert "limits.params" in said
    assert ("is not around one" in said) == (limit == '"+5%"')


def test_places_need_a_run_over_one_network(finished):
    assert "is not a space of SE in one network" in refused("places", finished)


def test_a_retrofitted_network_costs_what_it_holds(folder):
    value = {"retrofit": "timm:test_resnet", "se": {"layer1.0.bn2": {"r": 4}}}
    (folder.path / "own.json").write_text(json.dumps(value))
    plain = {**value, "se": {}}
    (folder.path / "plain.json").write_text(json.dumps(plain))
    with_se, without = (
        senet_nas("cost", name, "--image-size", 64, "--json").data()
        for name in ("own.json", "plain.json")
    )
    model = load_source("timm:test_resnet", weights="random").model
    assert without["params"] == sum(p.numel() for p in model.parameters())
    width = model.layer1[0].bn2.num_features
    hidden = width // 4
    assert with_se["params"] - without["params"] == 2 * width * hidden + width + hidden
    assert with_se["macs"] - without["macs"] == 2 * width * hidden


def test_code_named_in_a_file_is_not_called(folder, monkeypatch):
    (folder.path / "own.json").write_text(json.dumps({"retrofit": "os:abort", "se": {}}))
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)
    assert "it calls os:abort to build its network" in refused("cost", "own.json")
    done = finish(start("cost", "own.json"))
    assert (done.status, done.stdout) == (2, "")
    assert "os:abort" in one_error(done.stderr)


def test_effects_are_those_of_least_squares():
    from scipy import stats

    from senet_nas.analysis.places import effects_of

    rng = np.random.default_rng(0)
    one = rng.integers(0, 2, 40).astype(float)
    accuracy = 60 + 3 * one + rng.normal(0, 1, 40)
    fitted = stats.linregress(one, accuracy)
    effects, widths = effects_of(one[:, None], list(accuracy))
    assert effects == pytest.approx([fitted.slope])
    assert widths == pytest.approx([fitted.stderr * stats.t.ppf(0.975, 38)])
    twice = np.column_stack([one, one, rng.integers(0, 2, 40)])
    effects, widths = effects_of(twice, list(accuracy))
    assert effects[:2] == widths[:2] == [None, None]  # always together: not told apart
    assert effects[2] is not None
    assert effects_of(twice[:3], [1.0, 2.0, 3.0])[0] == [None] * 3
