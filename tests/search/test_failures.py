"""Trials that fail are recorded with their reason, tried again where that may help, and the run
goes on to its end. Here each network's one decision says how it fails."""

import pytest
from commands import finish, lines, senet_nas, start

from senet_nas.search import RunFolder

FAULTS = {
    "sound": "return y",
    "raises": "raise RuntimeError('out of\\nmemory, say')",
    "diverges": "return y * float('nan')",
    "dies": "os._exit(1)",
    "recovers": """
        marker = Path(os.environ["FAULT_MARKER"])
        if not marker.exists():
            marker.touch()
            raise RuntimeError("the first time only")
        return y
    """,
}

CELL = '''
import os
from pathlib import Path

from search_space import Block
from senet_nas.nn.layers import conv_norm
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """kxk, and a fault when it is trained."""

    def __init__(self, block: Block, in_channels: int):
        head = conv_norm(in_channels, block.channels, block.kernel, block.stride)
        super().__init__(block, in_channels, head=head, head_channels=block.channels)

    def forward(self, x):
        y = super().forward(x)
        if x.device.type == "meta":  # its cost is counted
            return y
        {fault}
'''

SPACE = """
from search_space.space import SearchSpace
from search_space.values import Architecture, Block, Stage


def build(choices):
    return Architecture(Stage((Block(choices["fault"], 8, 4),)), ())


def space():
    return SearchSpace.from_choices({{"fault": {faults}}}, build, "faults")
"""

RUN = """
[space]
name = "faults"

[strategy]
name = "random_search"

[evaluation]
data = "{images}"
image_size = 16
epochs = 1
precision = "fp32"

[resources]
workers = 2

[budget]
trials = 100
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, images):
    """What the command left, and the records by the fault of their network."""
    base = tmp_path_factory.mktemp("faults")
    for room in ("cells", "spaces"):
        (base / room).mkdir()
    for name, fault in FAULTS.items():
        (base / "cells" / f"{name}.py").write_text(CELL.format(fault=fault.strip()))
    (base / "spaces" / "faults.py").write_text(SPACE.format(faults=list(FAULTS)))
    (base / "run.toml").write_text(RUN.format(images=images))
    environment = {"SENET_NAS_EXTENSIONS": str(base), "FAULT_MARKER": str(base / "marker")}
    process = start("search", base / "run.toml", "--out", base / "out", **environment)
    done = finish(process, 300)
    records = RunFolder.open(base / "out").trials()
    return done, {list(FAULTS)[record.candidate[0]]: record for record in records}, base


def test_the_run_goes_on_to_its_end(run):
    done, records, base = run
    assert done.status == 0, done.stderr
    assert set(records) == set(FAULTS)
    assert lines(base / "out" / "trials.jsonl") == len(FAULTS)
    assert {record.number for record in records.values()} == set(range(len(FAULTS)))


def test_what_succeeds_is_scored(run):
    record = run[1]["sound"]
    assert record.reason is None
    assert record.attempts == 1
    assert 0 <= record.scores["accuracy"] <= 100


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "memory, say"),
        ("diverges", "loss became nan in epoch 1"),
        ("dies", "its worker died"),
    ],
)
def test_the_reason_is_recorded(run, fault, reason):
    record = run[1][fault]
    assert record.scores is None
    assert reason in record.reason
    assert "\n" not in record.reason


@pytest.mark.parametrize("fault", ["raises", "dies"])
def test_a_fault_that_may_pass_is_tried_once_more(run, fault):
    assert run[1][fault].attempts == 2


def test_a_loss_that_is_not_finite_is_not_tried_again(run):
    assert run[1]["diverges"].attempts == 1


def test_a_trial_that_succeeds_the_second_time_counts_as_done(run):
    record = run[1]["recovers"]
    assert record.reason is None
    assert record.scores["loss"] > 0
    assert record.attempts == 2


def test_failures_are_told_without_tracebacks(run):
    done, records, _ = run
    assert "Traceback" not in done.stderr
    assert "3 failed" in done.stdout
    told = [line for line in done.stderr.splitlines() if line.startswith("trial ")]
    assert len(told) == len(records)
    for record in records.values():
        assert record.reason is None or any(record.reason in line for line in told)


def test_failed_trials_are_not_on_the_front(run):
    from senet_nas.analysis import front_of

    records = list(run[1].values())
    front = front_of(records, {"accuracy": "max", "macs": "min"})
    assert front.failed == 3
    assert {point.number for point in front.points} <= {
        run[1][name].number for name in ("sound", "recovers")
    }


def test_a_hopeless_run_ends_with_its_reason(folder):
    (folder.path / "wild.toml").write_text("epochs = 1\nbatch_size = 16\nlearning_rate = 1e30\n")
    done = senet_nas("search", "run.toml", "--out", "out", "--set", "evaluation.recipe=wild.toml")
    assert (done.status, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the first 5 trials all failed: ")
    assert "loss" in last
    assert [record.attempts for record in folder.trials()] == [1] * 5
