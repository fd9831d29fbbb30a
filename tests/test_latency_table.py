"""`senet-nas latency-table`: what is measured, kept, gone on with, and predicted."""

import json
import os
from itertools import pairwise

import pytest
import torch
from commands import refused, senet_nas

from search_space import InputError, load, published
from senet_nas.latency import (
    LatencyTable,
    Timing,
    conditions_here,
    drawn,
    measure_latencies,
    measured,
    parts_of,
    parts_of_space,
)
from senet_nas.latency.chains import IN_CHAIN, chains_of
from senet_nas.latency.parts import timed

FEW = ("latency-table", "cifar_tiny", "--threads", 1, "--repeats", 1, "--image-size", 16)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("latency") / "table.json"
    done = senet_nas(*FEW, "--networks", 2, "--out", path, "--json")
    assert done.status == 0, done.stderr
    return path


def test_the_prediction_is_the_sum_over_the_parts(table):
    read = LatencyTable.read(table)
    network = next(drawn(load("cifar_tiny"), 1))
    keys = [part.key for part in parts_of(network, 16, 10)]
    assert len(keys) == len(list(network.blocks())) + 1
    assert read.predict(network) == pytest.approx(sum(read.parts[key] for key in keys))
    assert min(read.parts.values()) > 0


def test_a_table_states_its_conditions(table):
    stated = json.loads(table.read_text())["conditions"]
    assert stated["space"] == "cifar_tiny"
    assert (stated["device"], stated["threads"], stated["batch_size"]) == ("cpu", 1, 1)
    assert (stated["precision"], stated["repeats"]) == ("fp32", 1)
    assert stated["machine"]


def test_a_part_that_was_not_measured_is_named(table):
    with pytest.raises(InputError, match=r"lacks .*more --networks, or --all, extends it"):
        LatencyTable.read(table).predict(published("cifar_resnet20"))


def test_a_table_is_extended_and_keeps_what_it_has(table, tmp_path):
    before = LatencyTable.read(table).parts
    whole = tmp_path / "whole.json"
    partly = json.loads(table.read_text())
    partly["parts"] = dict(list(before.items())[:3])
    whole.write_text(json.dumps(partly))
    done = senet_nas(*FEW, "--networks", 4, "--out", whole, "--json").data()
    after = LatencyTable.read(whole).parts
    assert done["known"] == 3
    assert done["new"] == len(after) - 3
    assert after.keys() >= before.keys()
    assert all(after[key] == before[key] for key in list(before)[:3])


def test_what_is_not_given_is_as_the_table_has_it(table, tmp_path):
    copy = tmp_path / "copy.json"
    copy.write_text(table.read_text())
    found = senet_nas("latency-table", "cifar_tiny", "--networks", 2, "--out", copy, "--json")
    assert found.data()["new"] == 0
    assert (found.data()["image_size"], found.data()["repeats"]) == (16, 1)


def test_all_parts_of_a_runs_networks_are_measured(tmp_path, images):
    run = tmp_path / "run.toml"
    run.write_text(
        f"""
        space = {{ published = "se_cifar_resnet20" }}
        objectives = {{ accuracy = "max", latency_ms = "min" }}
        evaluation = {{ data = "{images}", image_size = 16, latency_table = "{tmp_path}/t.json" }}
        budget = {{ trials = 1 }}
        """
    )
    few = ("--threads", 1, "--repeats", 1)
    found = senet_nas("latency-table", run, "--all", *few, "--json").data()
    assert (found["image_size"], found["classes"], found["new"]) == (16, 3, 12)
    told = senet_nas("search", run, "--dry-run", "--json").data()
    assert told["latency_table"].endswith("16x16, 12 parts")


def test_a_dry_run_estimates_and_writes_nothing(tmp_path):
    path = tmp_path / "table.json"
    found = senet_nas(*FEW, "--networks", 2, "--out", path, "--dry-run", "--json").data()
    assert found["new"] > 2
    assert found["seconds"] >= 0
    assert not path.exists()


def test_other_conditions_do_not_go_into_a_table(table):
    message = refused(*FEW, "--networks", 2, "--out", table, "--batch-size", 2)
    assert "was measured with batch_size 1, not 2" in message


def test_parts_are_measured_behind_others_that_make_what_they_read():
    parts = list(parts_of_space(load("cifar_tiny"), 16, 10).values())
    chains = chains_of(parts, 0)
    assert sorted(p.key for chain in chains for p in chain) == sorted(p.key for p in parts)
    assert max(map(len, chains)) <= IN_CHAIN
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    assert sum(a.after == b.before for a, b in pairs) > len(pairs) / 2
    assert chains_of(parts, 1) != chains


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_parts_read_and_write_what_they_do_in_networks(precision, dtype):
    """In bfloat16 a sum with a float32 shortcut would be float32, and no fused one."""
    seen = set()

    class Seen(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            y = self.module(x)
            seen.update([x.dtype, y.dtype])
            return y

    parts = list(parts_of(next(drawn(load("cifar_tiny"), 1)), 16, 10))
    chain = [(Seen(module), shape) for module, shape in map(timed, parts)]
    measured([[one] for one in chain], Timing(threads=1, repeats=1, precision=precision))
    assert seen == {dtype}


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("[]")
    assert refused(*FEW, "--out", path) == f"{path}: not a latency table"
    path.write_text('{"format": 1}')
    assert "of another version" in refused(*FEW, "--out", path)
    missing = tmp_path / "none" / "table.json"
    assert "no such folder" in refused(*FEW, "--out", missing)


@pytest.mark.parametrize(
    ("name", "value"), [("threads", "two"), ("repeats", 0), ("precision", "fp8"), ("device", "x")]
)
def test_conditions_that_measure_nothing_are_no_table(table, tmp_path, name, value):
    other = tmp_path / "other.json"
    written = json.loads(table.read_text())
    written["conditions"][name] = value
    other.write_text(json.dumps(written))
    assert refused("latency-table", "cifar_tiny", "--out", other).endswith("not a latency table")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpus_table_isnt_extended_where_there_is_none(table, tmp_path):
    other = tmp_path / "other.json"
    written = json.loads(table.read_text())
    written["conditions"] |= {"device": "cuda", "machine": "NVIDIA H200"}
    other.write_text(json.dumps(written))
    message = refused("latency-table", "cifar_tiny", "--networks", 1, "--out", other)
    assert message.startswith("device 'cuda' cannot be used")


def test_devices_that_take_no_time_are_refused():
    message = refused("latency-table", "cifar_tiny", "--device", "meta")
    assert "device 'meta' is not known" in message


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
    table, tmp_path, monkeypatch
):
    with pytest.raises(InputError, match="No such file"):
        LatencyTable.read(table).write(tmp_path / "none" / "table.json")
    monkeypatch.setattr(os, "access", lambda *_: False)
    message = refused("latency-table", "cifar_tiny", "--out", tmp_path / "table.json")
    assert message.endswith("nothing can be written there")


def test_the_cpu_clock_needs_one_thread():
    arguments = ("latency-table", "cifar_tiny", "--clock", "cpu", "--threads", 2)
    assert "one thread" in refused(*arguments)


def test_networks_of_very_different_latency_are_told_apart():
    space = load("cifar_tiny")
    small, large = published("cifar_resnet20"), published("se_resnet50")
    here = conditions_here(space, image_size=32, classes=10, threads=1, clock="cpu", repeats=3)
    table = LatencyTable(here)
    table.measure(table.missing([small, large]))
    whole = measure_latencies((small, large), 32, 10, here)
    assert table.predict(small) < table.predict(large)
    assert table.predict(large) == pytest.approx(whole[1], rel=0.9)
