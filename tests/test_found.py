"""What is kept under runs/found/ is what its trials give, and its networks are what they cost."""

import json
from pathlib import Path

import pytest

from search_space import Architecture, structural_hash
from senet_nas import cost
from senet_nas.analysis import front_of
from senet_nas.analysis.fronts import load_fronts
from senet_nas.analysis.picture import draw_fronts
from senet_nas.analysis.run_view import RunView
from senet_nas.search import RunFolder

ROOT = Path(__file__).parents[1]
FOUND = sorted(path.parent for path in ROOT.glob("runs/found/*/run.toml"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_the_front_follows_from_the_trials(path):
    folder = RunFolder.open(path)
    kept = json.loads((path / "front.json").read_text())
    again = front_of(folder.trials(), folder.objectives()).to_data()
    for point in kept["points"]:
        del point["network"]
    assert again.pop("hypervolume") == pytest.approx(kept.pop("hypervolume"))
    assert again == kept


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_the_networks_of_the_front_cost_what_they_did(path):
    for point in json.loads((path / "front.json").read_text())["points"]:
        architecture = Architecture.from_json(json.dumps(point["network"]))
        counted = cost(architecture, 32, 10)
        assert structural_hash(architecture) == point["architecture"]
        assert counted.macs == point["scores"]["macs"]
        assert counted.params == point["scores"]["params"]


def test_the_picture_in_the_readme_is_drawn_from_it(tmp_path):
    folder = RunFolder.open(ROOT / "runs/found/cifar10_nsga2")
    fronts = load_fronts([RunView.open(str(folder.path), folder)])
    draw_fronts(fronts, tmp_path / "front.svg")
    kept = (ROOT / "docs/front.svg").read_text()
    drawn = (tmp_path / "front.svg").read_text()
    for text in ("66 trials", "front: 11 points", "knee"):
        assert text in kept
        assert text in drawn
    assert kept.count("<use") == drawn.count("<use")
