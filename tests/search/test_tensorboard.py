"""Ray Tune's TensorBoard logging, kept in a run's folder."""

import struct

import pytest
from commands import senet_nas
from ray.tune.experiment import Trial

from senet_nas.search import RunFolder, TrialRecord

pytest.importorskip("tensorboardX")


def scalars_of(folder):
    """(tag, step, value) of all scalars in a folder's event files, read without TensorBoard: each
    record is its length, a checksum, an event, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.glob("events.out.tfevents.*")):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[12 + length + 4 :]
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
    return found


def test_a_trial_of_an_earlier_start_goes_on_with_its_curve(tmp_path):
    from senet_nas.search.tune_tensorboard import TensorBoard

    first = TrialRecord(7, (0,), "", {"accuracy": 50.0}, curve=(2.0, 1.5), rung=0)
    RunFolder(tmp_path).append(first)
    logger = TensorBoard(tmp_path)
    trial = Trial("trainable", config={"number": 7, "rung": 1}, stub=True)
    logger.log_trial_start(trial)
    logger.log_trial_result(1, trial, {"curve": (1.25, 1.0), "training_iteration": 1})
    logger._trial_writer[trial].close()
    scalars = scalars_of(tmp_path / "tensorboard" / "trial-7")
    losses = [(step, value) for tag, step, value in scalars if tag == "epoch/loss"]
    assert losses == [(3, 1.25), (4, 1.0)]


@pytest.mark.slow
def test_scores_and_curves_of_all_trials_lie_in_the_run(folder):
    folder.replace("trials = 10", "trials = 2")
    sets = ("--set", "resources.tensorboard=true", "--set", "evaluation.epochs=2")
    done = senet_nas("search", "run.toml", *sets, "--out", "out")
    assert done.status == 0, done.stderr
    records = folder.trials()
    logs = folder.path / "out" / "tensorboard"
    assert {path.name for path in logs.iterdir()} == {"trial-0", "trial-1"}
    for record in records:
        scalars = scalars_of(logs / f"trial-{record.number}")
        accuracy = [(step, v) for tag, step, v in scalars if tag == "ray/tune/scores/accuracy"]
        assert accuracy[0] == (1, pytest.approx(record.scores["accuracy"], rel=1e-5))
        loss = [(step, v) for tag, step, v in scalars if tag == "epoch/loss"]
        assert [step for step, _ in loss] == [1, 2]
        assert [v for _, v in loss] == pytest.approx(record.curve, abs=1e-4)
