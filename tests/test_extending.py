"""One file each adds a cell, a space, a strategy, a recipe, a published family and a format.

The cell, the strategy and the format are those of docs/extending.md, read from there.
"""

import importlib
import json
import re
from pathlib import Path

import pytest
from commands import refused, senet_nas

from search_space import Architecture, InputError, load, published
from search_space.registry import lookup, names
from senet_nas import cost
from senet_nas.search import RunFolder
from senet_nas.training import load_checkpoint
from strategies import make_strategy, strategy_names
from strategies.core.unseen import all_candidates

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
PACKAGES = {
    "cells": "senet_nas.nn.cells",
    "spaces": "search_space.spaces",
    "published": "search_space.published",
    "families": "senet_nas.nn.foreign.families",
    "strategies": "strategies",
    "proxies": "senet_nas.proxies",
    "formats": "senet_nas.export.formats",
}

FILES = {
    "spaces/depthwise_pairs.py": '''
from search_space.space import Decision, SearchSpace
from search_space.staged import StageDecisions, se_decision, staged_space
from search_space.values import Architecture, Block, Stage


def space() -> SearchSpace:
    """Two stages of the new cell, each block with or without SE."""
    stages = [
        StageDecisions((1, 2), (Decision("channels", widths),), (se_decision(r=(2, 4)),))
        for widths in ((8, 12), (16, 24))
    ]
    return staged_space("depthwise_pairs", stages, make_block, assemble, image_size=16)


def make_block(stage, index, shared, own) -> Block:
    stride = 1 if index else 2
    return Block("double_depthwise", shared["channels"], stride, se=own["se"])


def assemble(stages, choices) -> Architecture:
    return Architecture(Stage((Block("conv", 8),)), stages)
''',
    "published/depthwise_net.py": """
from search_space.values import SE, Architecture, Block, Stage


def depthwise_net() -> Architecture:
    stages = tuple(
        Stage((Block("double_depthwise", width, stride=2, se=SE(r=4, placement="conv3x3")),))
        for width in (16, 32)
    )
    return Architecture(Stage((Block("conv", 8),)), stages)


def architectures():
    return {"depthwise_net": depthwise_net}
""",
    "families/stack.py": """
from senet_nas.nn.foreign.layers import Reader
from senet_nas.nn.foreign.parts import convolutions
from senet_nas.nn.foreign.reading import Reading


def read(model):
    if type(model).__name__ != "Stack":
        return None
    reader = Reader(model)
    return Reading(convolutions(reader, model.body), [], reader.linear(model.classifier))
""",
    "recipes/brisk.toml": "epochs = 1\nbatch_size = 16\nlearning_rate = 0.05\nprecision = 'fp32'\n",
}

STACK = """
from torch import nn


class Stack(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.classifier = nn.Linear(8, num_classes)

    def forward(self, images):
        return self.classifier(self.body(images).mean((2, 3)))
"""

RUN = """
[space]
name = "depthwise_pairs"

[strategy]
name = "hill_climbing"
tries = 2

[evaluation]
data = "{images}"
image_size = 16
recipe = "brisk"

[resources]
workers = 1

[budget]
trials = 4
"""


def blocks_of(page: Path) -> dict[str, str]:
    """The Python files that a page shows: a block whose first line names its file."""
    found = re.findall(r"```python\n# (\w+/\w+\.py)\n(.*?)```", page.read_text(), re.DOTALL)
    return dict(found)


@pytest.fixture
def extensions(tmp_path, monkeypatch):
    """A folder with one file of each kind; the project's packages are as before afterwards."""
    for package in map(importlib.import_module, PACKAGES.values()):
        monkeypatch.setattr(package, "__path__", list(package.__path__))
    files = FILES | blocks_of(PAGE)
    for name, text in files.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    importlib.invalidate_caches()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", "mine")
    return tmp_path / "mine"


def test_there_is_one_file_of_each_kind(extensions):
    kinds = [path.parent.name for path in extensions.glob("*/*") if path.is_file()]
    assert sorted(kinds) == sorted([*PACKAGES, "recipes"])


def test_a_search_uses_them_all(extensions, tmp_path, images):
    (tmp_path / "run.toml").write_text(RUN.format(images=images))
    done = senet_nas("search", "run.toml", "--out", "out")
    assert done.status == 0, done.stderr
    records = RunFolder.open(tmp_path / "out").trials()
    assert [record.reason for record in records] == [None] * 4
    space = load("depthwise_pairs")
    built = [space.build(record.candidate) for record in records]
    cells = {block.cell for network in built for _, block in network.blocks()}
    assert cells == {"conv", "double_depthwise"}
    for record, network in zip(records, built, strict=True):
        assert record.scores["macs"] == cost(network, 16, 3).macs
    assert records[2].candidate in neighbours_of_best(space, records[:2])
    assert records[3].candidate in neighbours_of_best(space, records[:3])

    done = senet_nas("retrain", "out", "--recipe", "brisk", "--out", "retrained", "--json")
    assert (done.status, done.data()["recipe"]) == (0, "brisk")
    torchscript = ("export", "retrained/checkpoint.safetensors", "--format", "torchscript")
    assert "allowed: --frozen" in refused(*torchscript, "--frosen")
    assert senet_nas(*torchscript, "--frozen").status == 0
    assert best_class("retrained/checkpoint.ts", images) == best_class(
        "retrained/checkpoint.safetensors", images
    )
    done = senet_nas("export", "retrained/checkpoint.safetensors", "--format", "onnx", "--json")
    assert done.data()["agreement"] == 100
    kept = load_checkpoint(tmp_path / "retrained" / "checkpoint.safetensors")
    assert kept.architecture in built


def best_class(file, images):
    """What `predict` says of one of the images."""
    image = min(path for path in images.rglob("*") if path.is_file())
    (told,) = senet_nas("predict", file, image, "--json").data()["images"]
    return told["top"][0]["name"]


def neighbours_of_best(space, records):
    """What one mutation of the most accurate candidate can give, as far as depth allows."""
    best = max(records, key=lambda record: record.scores["accuracy"]).candidate
    return [other for other in all_candidates(space) if differing(space, other, best) == 1]


def differing(space, first, second):
    """In how many decisions that count in both two candidates differ."""
    one, two = space.choices(first), space.choices(second)
    return sum(one[name] != two[name] for name in one.keys() & two.keys())


def test_a_published_family_has_a_cost_and_can_be_retrained(extensions, images, tmp_path):
    data = senet_nas("cost", "depthwise_net", "--image-size", 16, "--classes", 3, "--json").data()
    expected = cost(published("depthwise_net"), 16, 3)
    assert (data["params"], data["macs"]) == (expected.params, expected.macs)
    arguments = ("--recipe", "brisk", "--data", images, "--out", "net", "--json")
    assert senet_nas("retrain", "depthwise_net", *arguments).data()["params"] == expected.params
    (tmp_path / "net.json").write_text(published("depthwise_net").to_json())
    assert (
        senet_nas("cost", "net.json", "--image-size", 16, "--classes", 3, "--json").data() == data
    )


def test_a_network_of_a_new_family_is_imported(extensions, tmp_path, monkeypatch):
    (tmp_path / "own_stack.py").write_text(STACK)
    monkeypatch.syspath_prepend(tmp_path)
    done = senet_nas("import", "own_stack:Stack", "--out", "stack.safetensors", "--json")
    assert done.status == 0, done.stderr
    (block,) = load_checkpoint(tmp_path / "stack.safetensors").architecture.stem.blocks
    assert (block.cell, block.channels, block.stride, block.extra) == (
        "conv",
        8,
        2,
        (("bias", True),),
    )


def test_they_are_among_the_names_allowed(extensions):
    assert "depthwise_pairs" in refused("space", "depthwise_pair")
    assert "depthwise_net" in refused("cost", "depthwise_ne")
    assert "double_depthwise" in names("senet_nas.nn.cells")
    assert (
        senet_nas("space", "depthwise_pairs", "--json").data()["size"]
        == load("depthwise_pairs").size()
    )


def test_a_space_may_be_searched_by_every_strategy_of_the_project(extensions):
    space = load("depthwise_pairs")
    assert "hill_climbing" in strategy_names()
    for name in strategy_names():
        strategy = make_strategy(name, space, {"accuracy": "max"})
        for number in range(8):
            strategy.tell(strategy.ask(), {"accuracy": float(number)})
        assert len(strategy.trials) == 8


def test_the_projects_own_names_cannot_be_taken_over(extensions):
    (extensions / "cells" / "basic.py").write_text("raise AssertionError('taken over')\n")
    (extensions / "spaces" / "cifar_tiny.py").write_text("raise AssertionError('taken over')\n")
    assert load("cifar_tiny").name == "cifar_tiny"
    assert lookup("senet_nas.nn.cells", "basic", "cell").__file__.endswith("nn/cells/basic.py")
    text = json.dumps({"stem": [], "stages": [[{"cell": "basic", "channels": 8}]]})
    assert cost(Architecture.from_json(text), 16, 3).params > 0


def test_a_folder_that_is_not_there_is_said(extensions, monkeypatch):
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", "mine:absent")
    message = refused("space", "cifar_tiny")
    assert message.startswith("SENET_NAS_EXTENSIONS: no such folder: ")
    assert message.endswith("absent")
    with pytest.raises(InputError, match=r"no such folder: .*absent"):
        names("strategies")


def test_helpers_of_a_strategy_are_no_strategies(extensions):
    (extensions / "strategies" / "_shared.py").write_text("")
    (extensions / "strategies" / "nothing.py").write_text("")
    importlib.invalidate_caches()
    assert "_shared" not in names("strategies")
    (extensions.parent / "run.toml").write_text(
        RUN.format(images="x").replace("hill_climbing", "nothing")
    )
    assert "has no class `Strategy`" in refused("search", "run.toml", "--out", "out")
