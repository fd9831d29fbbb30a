"""Two networks and two runs held against each other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from commands import refused, senet_nas, write_run

from search_space import SE, Architecture, Block, Stage, load, published, structural_hash
from senet_nas.analysis.run_difference import covered
from senet_nas.cost import cost
from senet_nas.search import RunFolder, load_run_file
from senet_nas.search.run_folder import TrialRecord

SPACE = load("cifar_tiny")


def run_of(path, images, scores, candidates, *, sets=()):
    """A run's folder whose trials have these (accuracy, macs)."""
    toml = path.with_suffix(".toml")
    run = load_run_file(write_run(toml, images), list(sets)).resolved()
    folder = RunFolder.create(path, run)
    for number, ((accuracy, macs), candidate) in enumerate(zip(scores, candidates, strict=True)):
        found = {"accuracy": accuracy, "macs": macs, "params": 1.0}
        label = structural_hash(SPACE.build(candidate))
        folder.append(TrialRecord(number, candidate, label, found, elapsed_seconds=number))
    return path


@pytest.fixture
def candidates():
    first = SPACE.candidate({})
    position = next(n for n, d in enumerate(SPACE.decisions) if not d.when and len(d.options) > 1)
    decision = SPACE.decisions[position]
    return decision.name, first, SPACE.candidate({decision.name: decision.options[1]})


def test_the_same_network_differs_in_nothing():
    data = senet_nas("diff", "se_resnet50", "se_resnet50", "--json").data()
    assert (data["same"], data["places"]) == (True, [])
    assert len({tuple(pair) for pair in data["costs"].values()}) == 3
    assert all(one == other for one, other in data["costs"].values())
    assert "the same network" in senet_nas("diff", "se_resnet50", "se_resnet50").stdout


def test_se_against_none_is_one_difference_a_block():
    data = senet_nas("diff", "resnet50", "se_resnet50", "--json").data()
    assert not data["same"]
    assert len(data["places"]) == 16
    assert all(place["differs"] == {"se": [None, "r16"]} for place in data["places"])
    assert data["costs"]["params"] == [25_557_032, 28_088_024]


def test_settings_blocks_and_heads_that_differ(tmp_path):
    one = Architecture(
        Stage((Block("conv", 8),)),
        (Stage((Block("basic", 8, se=SE(4)), Block("basic", 8))), Stage((Block("basic", 16, 2),))),
    )
    changed = Stage((Block("basic", 8, kernel=5, se=SE(8, placement="pre")),))
    other = replace(one, stages=(changed, one.stages[1]), head=replace(one.head, hidden=32))
    for name, network in (("one", one), ("other", other)):
        (tmp_path / f"{name}.json").write_text(network.to_json())
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    done = senet_nas("diff", *files, "--image-size", 32, "--classes", 10, "--json")
    places = {place["path"]: place["differs"] for place in done.data()["places"]}
    assert places == {
        "stages.0.blocks.0": {
            "kernel": [3, 5],
            "se.r": [4, 8],
            "se.placement": ["standard", "pre"],
        },
        "stages.0.blocks.1": {"block": ["basic 8", None]},
        "head": {"hidden": [0, 32]},
    }
    assert list(places) == ["stages.0.blocks.0", "stages.0.blocks.1", "head"]
    macs = [cost(network, 32, 10).macs for network in (one, other)]
    assert done.data()["costs"]["macs"] == macs
    assert "se.placement" in senet_nas("diff", *files, "--image-size", 32).stdout


def test_stages_stand_in_the_order_of_their_numbers():
    names = ("resnet50", "resnet152")
    places = [p["path"] for p in senet_nas("diff", *names, "--json").data()["places"]]
    numbers = [tuple(int(part) for part in path.split(".")[1::2]) for path in places]
    assert numbers == sorted(numbers)
    assert len(places) == 50 - 16
    assert published("resnet152") != published("resnet50")


def test_runs_share_the_reference_point(tmp_path, images, candidates):
    name, plain, other = candidates
    a = run_of(tmp_path / "a", images, [(50, 10), (40, 5), (30, 20)], [plain, plain, plain])
    b = run_of(
        tmp_path / "b",
        images,
        [(60, 10), (20, 30)],
        [other, other],
        sets=["strategy.seed=7", "evaluation.epochs=2"],
    )
    data = senet_nas("diff", a, b, "--json").data()
    # By hand: the worst of all trials is (20, 30).
    assert [front["reference"] for front in data["fronts"]] == [{"accuracy": 20, "macs": 30}] * 2
    assert data["fronts"][0]["hypervolume"] == 30 * 20 + 20 * 5
    assert data["fronts"][1]["hypervolume"] == 40 * 20
    assert data["settings"] == {"strategy.seed": [0, 7], "evaluation.epochs": [1, 2]}
    assert data["scored_otherwise"] == ["evaluation.epochs"]
    assert data["covered"] == [0.5, 0.0]
    decisions = {decision["name"]: decision for decision in data["decisions"]}
    assert decisions[name]["distance"] == 1.0
    shown = senet_nas("diff", a, b).stdout
    assert "can't be compared" in shown
    assert "700" in shown


def test_what_a_supernet_was_held_against_changes_no_score(tmp_path, images, candidates):
    _, plain, _ = candidates
    a, b = (
        run_of(
            tmp_path / str(trusted),
            images,
            [(50, 10)],
            [plain],
            sets=["supernet.epochs=2", f"supernet.trust.candidates={trusted}"],
        )
        for trusted in (0, 20)
    )
    data = senet_nas("diff", a, b, "--json").data()
    assert data["settings"] == {"supernet.trust.candidates": [0, 20]}
    assert data["scored_otherwise"] == []


def test_a_run_differs_from_itself_in_nothing(tmp_path, images, candidates):
    _, plain, other = candidates
    a = run_of(tmp_path / "a", images, [(50, 10), (40, 5)], [plain, other])
    data = senet_nas("diff", a, a, "--json").data()
    assert (data["settings"], data["decisions"], data["covered"]) == ({}, [], [1.0, 1.0])
    assert "the same settings" in senet_nas("diff", a, a).stdout


def test_runs_over_other_spaces_are_compared_by_their_fronts_alone(tmp_path, images, candidates):
    _, plain, _ = candidates
    a = run_of(tmp_path / "a", images, [(50, 10)], [plain])
    b = run_of(tmp_path / "b", images, [], [], sets=["space.name=cifar_residual"])
    data = senet_nas("diff", a, b, "--json").data()
    assert data["decisions"] is None
    assert data["undecided"] == "the runs are over different spaces"
    assert data["covered"] == [None, None]
    assert senet_nas("diff", a, b).status == 0


def test_mistakes(tmp_path, images, candidates):
    a = run_of(tmp_path / "a", images, [(50, 10)], [candidates[1]])
    assert "two runs or two networks" in refused("diff", a, "resnet50")
    assert "resnet5" in refused("diff", "resnet5", "resnet50")
    assert "not a run's folder" in refused("diff", a, images)
    (tmp_path / "bad.json").write_text(json.dumps({"stem": []}))
    assert "bad.json" in refused("diff", tmp_path / "bad.json", "resnet50")
    b = run_of(tmp_path / "b", images, [], [])
    text = (b / "run.toml").read_text()
    head, _, rest = text.partition("[objectives]")
    rest = rest[rest.index("\n[") :]
    (b / "run.toml").write_text(f'{head}[objectives]\nparams = "min"\n{rest}')
    assert "no objective in common" in refused("diff", a, b)


def test_a_front_covers_what_it_equals(tmp_path, images, candidates):
    from senet_nas.analysis.front import front_of

    record = TrialRecord(0, candidates[1], "x", {"accuracy": 1.0, "macs": 2.0})
    front = front_of([record], {"accuracy": "max", "macs": "min"})
    better = front_of([replace(record, scores={"accuracy": 2.0, "macs": 2.0})], front.objectives)
    assert (covered(front, front), covered(front, better), covered(better, front)) == (1, 1, 0)
