"""Searches whose latency a table predicts: known beforehand, recorded as predicted, aimed at.

The table is of made-up figures, through its public format.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from commands import RUN, refused, senet_nas

from search_space import around_published, load
from senet_nas.cost import block_cost
from senet_nas.latency import LatencyTable, conditions_here, parts_of, parts_of_space
from senet_nas.search import RunFolder, load_run_file
from senet_nas.search.evaluation import Evaluator
from senet_nas.search.known_costs import LATENCY, KnownCosts
from senet_nas.search.weight_sharing.deriving import TOLERANCE, check_target
from senet_nas.search.weight_sharing.differentiable import DifferentiableSearch
from senet_nas.search.weight_sharing.expected_cost import ExpectedCost, one_hots
from senet_nas.search.weight_sharing.extremes import extreme

SPACE = load("cifar_tiny")
SIZE, CLASSES, LIMIT = 16, 3, 2.0


def made_up(part):
    """Milliseconds of a part: as its MACs, and more with SE."""
    if part.block is None:
        return 0.01 + part.before[0] * 1e-4
    macs = block_cost(part.block, part.before)[0].macs
    return round(0.05 + macs / 1e6 + 0.1 * (part.block.se is not None), 6)


def table_of(size=SIZE, classes=CLASSES, space=SPACE):
    conditions = conditions_here(space, image_size=size, classes=classes, threads=1, batch_size=8)
    parts = parts_of_space(space, size, classes)
    return LatencyTable(conditions, {key: made_up(part) for key, part in parts.items()})


@pytest.fixture(scope="module")
def table():
    return table_of()


@pytest.fixture(scope="module")
def file(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "latency.json"
    table.write(path)
    return path


@pytest.fixture(scope="module")
def run_file(images, file, tmp_path_factory):
    """A run over accuracy and predicted latency, which it limits."""
    text = RUN.format(images=images, trials=4).replace("macs =", "latency_ms =")
    text = text.replace("image_size", f'latency_table = "{file.name}"\nimage_size')
    path = file.parent / "run.toml"
    path.write_text(text + f"\n[limits]\nlatency_ms = {LIMIT}\n")
    return path


@pytest.fixture(scope="module")
def aimed_file(run_file):
    """The same without its limit, for searches that aim at a target."""
    path = run_file.with_name("aimed.toml")
    path.write_text(run_file.read_text().partition("[limits]")[0])
    return path


@pytest.fixture(scope="module")
def searched(run_file, file, tmp_path_factory):
    out = tmp_path_factory.mktemp("tabled") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(file.parent)  # the table's path is relative
        done = senet_nas("search", run_file, "--out", out, "--json")
    assert done.status == 0, done.stderr
    return out


@pytest.fixture(autouse=True)
def beside_the_table(file, monkeypatch):
    monkeypatch.chdir(file.parent)


def test_every_network_of_a_space_is_of_the_parts_listed(table):
    rng = np.random.default_rng(0)
    for network in (SPACE.build(SPACE.sample(rng)) for _ in range(50)):
        assert all(part.key in table.parts for part in parts_of(network, SIZE, CLASSES))


def test_trials_have_the_predicted_latency_and_say_so(searched, table):
    records = RunFolder.open(searched).trials()
    assert len(records) == 4
    for record in records:
        predicted = table.predict(SPACE.build(record.candidate))
        assert record.scores["latency_ms"] == pytest.approx(predicted)
        assert predicted <= LIMIT
        assert record.latency["predicted"] is True
        assert (record.latency["device"], record.latency["batch_size"]) == ("cpu", 8)
        assert (record.latency["threads"], record.latency["image_size"]) == (1, SIZE)
    points = senet_nas("front", searched, "--json").data()["points"]
    assert {point["scores"]["latency_ms"] for point in points} <= {
        record.scores["latency_ms"] for record in records
    }


def test_the_run_keeps_the_tables_path_in_full_and_its_fingerprint(searched, file, table):
    evaluation = RunFolder.open(searched).run_file().evaluation
    assert evaluation.latency_table == str(file.resolve())
    assert evaluation.latency_fingerprint == table.fingerprint()


def test_a_run_does_not_go_on_by_another_table(searched, file):
    kept = file.read_text()
    data = json.loads(kept)
    first = next(iter(data["parts"]))
    data["parts"][first] *= 2
    try:
        file.write_text(json.dumps(data))
        message = refused("resume", searched, "--set", "budget.trials=5")
        assert f"evaluation.latency_table: {file.resolve()} has changed since this run" in message
        assert senet_nas("front", searched, "--json").status == 0
    finally:
        file.write_text(kept)


def test_a_limit_may_be_over_the_network_without_se(file, images, tmp_path):
    space = load("cifar_tiny")
    path = tmp_path / "own.json"
    run = tmp_path / "run.toml"
    text = RUN.format(images=images, trials=2).replace(
        'name = "cifar_tiny"', 'published = "se_cifar_resnet20"', 1
    )
    text = text.replace("image_size", f'latency_table = "{path}"\nimage_size')
    run.write_text(text + '\n[limits]\nlatency_ms = "+20%"\n')
    assert refused("search", run, "--out", tmp_path / "o", "--dry-run").endswith(
        f"no such file; `senet-nas latency-table RUN.toml --all --out {path}` measures one"
    )
    space = load_run_file(run).space.open()
    table_of(space=space).write(path)
    told = senet_nas("search", run, "--out", tmp_path / "o", "--dry-run", "--json").data()
    assert told["latency_table"].startswith("cpu, ")
    assert "1 thread, batch 8, fp32, 16x16, 12 parts" in told["latency_table"]
    assert not (tmp_path / "o").exists()


def spoiled(path, **changed):
    """A file with other conditions, or fewer parts."""
    table = table_of(**changed) if changed else table_of()
    if not changed:
        del table.parts[next(iter(table.parts))]
    table.write(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"space": around_published("se_cifar_resnet20")}, "is of the space 'published:se_cifar"),
        ({"size": 24}, "was measured with image_size 24, and the run has 16"),
        ({"classes": 5}, "was measured with classes 5, and the run has 3"),
        (
            {},
            "lacks 1 of the 214 parts of the space; `senet-nas latency-table cifar_tiny "
            "--image-size 16 --classes 3 --all --out {path}` measures them",
        ),
    ],
)
def test_a_table_of_something_else_is_refused(run_file, tmp_path, changed, said):
    path = tmp_path / "other.json"
    spoiled(path, **changed)
    change = f'evaluation.latency_table="{path}"'
    message = refused("search", run_file, "--out", tmp_path / "o", "--set", change)
    assert message.startswith(f"evaluation.latency_table: {path} ")
    assert said.format(path=path) in message
    assert not (tmp_path / "o").exists()


def test_what_is_no_table_is_said_with_the_key(run_file, tmp_path):
    change = f'evaluation.latency_table="{run_file}"'
    message = refused("search", run_file, "--out", tmp_path / "o", "--set", change)
    assert message.endswith(f"evaluation.latency_table: {run_file}: not a latency table")


def test_expected_latency_is_exact_for_one_network_and_the_mean_over_draws(table):
    expected = ExpectedCost(SPACE, LATENCY, KnownCosts(SIZE, CLASSES, table))
    rng = np.random.default_rng(0)
    for candidate in [SPACE.sample(rng) for _ in range(10)]:
        whole = table.predict(SPACE.build(candidate))
        assert float(expected(one_hots(SPACE, candidate))) == pytest.approx(whole, rel=1e-5)
    shares = [rng.dirichlet(np.ones(len(d.options))) for d in SPACE.decisions]
    drawn = [
        table.predict(SPACE.build(SPACE.normalise(numbers)))
        for numbers in zip(*(rng.choice(len(p), 2000, p=p) for p in shares), strict=True)
    ]
    error = np.std(drawn) / len(drawn) ** 0.5
    found = float(expected([torch.tensor(p).float() for p in shares]))
    assert abs(found - np.mean(drawn)) < 4 * error


def test_a_differentiable_search_ends_at_the_latency_that_was_asked_for(
    aimed_file, images, table, tmp_path
):
    sets = [
        'supernet.strategy="gumbel"',
        "supernet.epochs=1",
        "supernet.batch_size=24",
        "supernet.targets=[1.6]",
        'supernet.target_cost="latency"',
        'supernet.precision="fp32"',
    ]
    run = load_run_file(aimed_file, sets)
    evaluator = Evaluator(run.evaluation)
    found = DifferentiableSearch(SPACE, evaluator, run.supernet, 1.6, 0, tmp_path / "s").run()
    assert found.cost == pytest.approx(table.predict(SPACE.build(found.candidate)))
    assert abs(found.cost / 1.6 - 1) <= TOLERANCE
    assert found.expected is not None


def test_a_target_that_no_network_reaches_is_refused_with_the_range(aimed_file, table, tmp_path):
    def latency(candidate):
        return table.predict(SPACE.build(candidate))

    least, most = (latency(extreme(SPACE, latency, sign)) for sign in (-1, 1))
    sets = ['supernet.strategy="gumbel"', 'supernet.target_cost="latency"']
    target = "supernet.targets=[1e3]"
    options = [part for change in (*sets, target) for part in ("--set", change)]
    message = refused("search", aimed_file, "--out", tmp_path / "o", *options)
    assert f"have {least:.4g} to {most:.4g} latency_ms, so none has 1000" in message
    check_target(SPACE, latency, (least + most) / 2, LATENCY)


def test_a_target_in_latency_needs_a_table(images, tmp_path):
    run = tmp_path / "run.toml"
    run.write_text(RUN.format(images=images, trials=2))
    sets = ['supernet.strategy="gumbel"', 'supernet.target_cost="latency"']
    options = [part for change in sets for part in ("--set", change)]
    message = refused("search", run, "--out", tmp_path / "o", *options)
    assert message.endswith("latency needs an evaluation.latency_table")
