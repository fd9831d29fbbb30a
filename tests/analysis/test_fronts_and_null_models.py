"""`front`: axes to choose, null models beside it, random search at equal budget."""

import csv
import io
import json
import shlex
import shutil

import moocore
import pytest
from commands import TRIALS, refused, senet_nas

from search_space import SE, load
from senet_nas.analysis.null_models import kind_of, variant
from senet_nas.analysis.se_places import has_se, se_places
from senet_nas.search import RunFolder

NSGA2 = 'name = "nsga2"\nseed = 0\npopulation_size = 3\n'
KINDS = ("none", "everywhere", "late")


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture
def random(finished, tmp_path):
    """The same trials, as if random search had proposed them."""
    path = shutil.copytree(finished, tmp_path / "random")
    text = (path / "run.toml").read_text()
    assert NSGA2 in text
    (path / "run.toml").write_text(text.replace(NSGA2, 'name = "random_search"\nseed = 0\n'))
    return path


def test_the_front_over_other_axes_is_that_of_all_trials(finished):
    data = senet_nas("front", finished, "--axes", "params,top1", "--json").data()
    assert data["objectives"] == {"accuracy": "max", "params": "min"}
    lines = (finished / "trials.jsonl").read_text().splitlines()
    scores = [s for line in lines if (s := json.loads(line)["scores"])]
    pairs = [(s["accuracy"], s["params"]) for s in scores]
    free = {
        (a, p)
        for a, p in pairs
        if not any(b >= a and q <= p and (b, q) != (a, p) for b, q in pairs)
    }
    points = [p["scores"] for p in data["points"]]
    assert {(p["accuracy"], p["params"]) for p in points} == free
    worst = min(a for a, _ in pairs), max(p for _, p in pairs)
    assert tuple(data["reference"].values()) == worst
    assert sum(p["knee"] for p in data["points"]) == 1


def test_costs_that_trials_lack_are_counted(finished, copy):
    lines = [json.loads(line) for line in (copy / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        (line["scores"] or {}).pop("activations", None)
    (copy / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    whole, again = (
        senet_nas("front", path, "--axes", "accuracy,activations,macs", "--json").data()
        for path in (finished, copy)
    )
    assert again["points"] == whole["points"]


def test_latency_is_measured_where_trials_lack_it(copy):
    lines = (copy / "trials.jsonl").read_text().splitlines(keepends=True)
    (copy / "trials.jsonl").write_text("".join(lines[:2]))
    data = senet_nas("front", copy, "--axes", "accuracy,latency", "--json").data()
    assert all(point["scores"]["latency_ms"] > 0 for point in data["points"])


@pytest.mark.parametrize("axes", ["accuracy", "accuracy,flops", "accuracy,macs,params,top5", ""])
def test_other_axes_are_refused(finished, axes):
    assert "activations" in refused("front", finished, "--axes", axes)


def test_three_axes_are_drawn_side_by_side(finished, tmp_path):
    path = tmp_path / "front.svg"
    axes = ("--axes", "accuracy,macs,params")
    assert senet_nas("front", finished, *axes, "--picture", path).status == 0
    assert "MACs (M)" in path.read_text()
    assert "parameters (M)" in path.read_text()


def test_each_point_has_its_three_null_models(finished):
    data = senet_nas("front", finished, "--json").data()
    twins = data["null_models"]["twins"]
    assert len(twins) == 3 * len(data["points"])
    points = {point["number"]: point for point in data["points"]}
    for kind in KINDS:
        of = [twin for twin in twins if twin["kind"] == kind]
        assert [twin["of"] for twin in of] == list(points)
    for twin in twins:
        point = points[twin["of"]]
        if twin["kind"] == "none":
            assert twin["costs"]["params"] <= point["scores"]["params"]
        if twin["trained"] == "this point itself":
            assert twin["architecture"] == point["architecture"]
            assert twin["scores"] == point["scores"]
        if twin["trained"] is None:
            assert twin["scores"] is None


@pytest.mark.parametrize("name", ["cifar_tiny", "cifar_residual"])
def test_null_models_differ_in_se_alone(name):
    import numpy as np

    space = load(name)
    rng = np.random.default_rng(0)
    candidates = [space.sample(rng) for _ in range(6)]
    places = se_places(space, candidates)
    for candidate in candidates:
        for kind in KINDS:
            found = variant(space, places, candidate, kind)
            gates = [b.se for _, b in space.build(found).blocks()]
            standing = [has_se(space, found, p.position) for p in places]
            late = [p.late for p in places]
            expected = {"none": [False] * len(places), "everywhere": [True] * len(places)}
            active = [space.is_active(found, p.position) for p in places]
            wanted = expected.get(kind, late)
            assert standing == [w and a for w, a in zip(wanted, active, strict=True)]
            assert any(isinstance(gate, SE) for gate in gates) == any(standing)
            assert kind_of(space, places, found) is not None
            for position, decision in enumerate(space.decisions):
                if not any(isinstance(option, SE) for option in decision.options):
                    assert found[position] == candidate[position]


def test_csv_tells_points_from_null_models(finished, random):
    done = senet_nas("front", finished, "--csv", "--random", random)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["kind"] for row in rows} == {"front", *KINDS, "random"}
    for row in rows:
        assert bool(row["accuracy"]) == (row["trained"] == "True")
        assert float(row["macs"]) > 0


def test_null_models_are_trained_as_trials_are(copy):
    before = (copy / "trials.jsonl").read_bytes()
    lines = before.splitlines(keepends=True)
    (copy / "trials.jsonl").write_bytes(b"".join(lines[:3]))
    first = senet_nas("front", copy, "--json").data()["null_models"]["twins"]
    assert any(twin["trained"] is None for twin in first)
    done = senet_nas("front", copy, "--train-null", "--json")
    twins = done.data()["null_models"]["twins"]
    assert all(twin["scores"]["accuracy"] >= 0 for twin in twins)
    assert (copy / "trials.jsonl").read_bytes() == b"".join(lines[:3])
    kept = (copy / "nulls.jsonl").read_bytes()
    assert senet_nas("front", copy, "--train-null", "--json").data() == done.data()
    assert (copy / "nulls.jsonl").read_bytes() == kept
    assert "not trained" not in senet_nas("front", copy).stdout


def test_each_kind_of_null_model_has_its_hypervolume(finished):
    data = senet_nas("front", finished, "--json").data()
    nulls = data["null_models"]
    trials = {r.number: r.scores for r in RunFolder.open(finished).trials()}
    for kind in KINDS:
        scores = [trials[number] for number in nulls["in_trials"][kind]]
        scores += [t["scores"] for t in nulls["twins"] if t["kind"] == kind and t["scores"]]
        losses = [(-s["accuracy"], s["macs"]) for s in scores]
        worst = (-data["reference"]["accuracy"], data["reference"]["macs"])
        expected = moocore.hypervolume(losses, ref=worst) if losses else 0
        assert nulls["hypervolumes"][kind]["hypervolume"] == pytest.approx(expected)
        assert len(set(losses)) <= nulls["hypervolumes"][kind]["networks"] <= len(losses)


def test_random_search_of_equal_budget_stands_beside(finished, random):
    data = senet_nas("front", finished, "--random", random, "--json").data()
    against = data["null_models"]["random"]
    assert against["front"]["hypervolume"] == data["hypervolume"]
    assert (against["covered"], against["otherwise"]) == (1, [])
    assert against["used"] == against["budget"]


def test_random_search_is_cut_to_the_budget(copy, random):
    lines = (copy / "trials.jsonl").read_text().splitlines(keepends=True)
    (copy / "trials.jsonl").write_text("".join(lines[:4]))
    data = senet_nas("front", copy, "--random", random, "--json").data()
    against = data["null_models"]["random"]["front"]
    assert against["trials"] == 4 < TRIALS
    assert against["reference"] == data["reference"]


def test_less_random_search_than_the_run_had_is_said(finished, random):
    lines = (random / "trials.jsonl").read_text().splitlines(keepends=True)
    (random / "trials.jsonl").write_text("".join(lines[:4]))
    assert "the budget is not equal" in senet_nas("front", finished, "--random", random).stdout


def test_random_search_scored_otherwise_is_said(finished, random):
    text = (random / "run.toml").read_text()
    (random / "run.toml").write_text(text.replace("epochs = 1", "epochs = 2"))
    done = senet_nas("front", finished, "--random", random)
    assert "can't be compared" in done.stdout
    assert "evaluation.epochs" in done.stdout


def test_a_run_that_is_not_random_is_no_random_search(finished):
    assert "not random search" in refused("front", finished, "--random", finished)


def test_without_random_search_the_command_for_one_is_said_and_works(copy, random):
    from senet_nas.search import load_run_file

    told = senet_nas("front", copy).stdout
    words = shlex.split(next(line for line in told.splitlines() if "To make one:" in line))
    sets = [words[n + 1] for n, word in enumerate(words) if word == "--set"]
    run = load_run_file(copy / "run.toml", sets)
    assert (run.strategy.name, run.strategy.settings()) == ("random_search", {})
    assert run.budget.trials == TRIALS
    assert "this run is random search itself" in senet_nas("front", random).stdout


def test_a_front_is_shown_where_its_space_has_changed(copy):
    text = (copy / "run.toml").read_text()
    (copy / "run.toml").write_text(text.replace('fingerprint = "', 'fingerprint = "0'))
    data = senet_nas("front", copy, "--json").data()
    assert data["points"]
    assert data["null_models"]["twins"] == []
    assert "fault" in data["null_models"]
