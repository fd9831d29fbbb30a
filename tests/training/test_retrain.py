import contextlib
import json
import os
from dataclasses import replace

import pytest
import torch

from search_space import InputError
from senet_nas.data import load_images
from senet_nas.training import evaluate, load_checkpoint, retrain


def metrics(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def curve(out):
    return [(entry["epoch"], entry["loss"]) for entry in metrics(out)]


def same_weights(first, second):
    a, b = (load_checkpoint(out / "checkpoint.safetensors").weights for out in (first, second))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_retraining_leaves_a_checkpoint_and_a_result(architecture, data, recipe, tmp_path):
    seen = []
    result = retrain(architecture, data, recipe, tmp_path / "out", seed=4, progress=seen.append)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        ".lock",
        "checkpoint.safetensors",
        "metrics.jsonl",
        "result.json",
    ]
    assert [report.epoch for report in seen] == [1, 2, 3]
    assert curve(tmp_path / "out") == [(report.epoch, report.loss) for report in seen]
    written = json.loads((tmp_path / "out/result.json").read_text())
    assert (written["top1"], written["seed"]) == (result.top1, 4)
    assert (result.train_images, result.test_images, result.epochs) == (80, 20, 3)
    checkpoint = load_checkpoint(tmp_path / "out/checkpoint.safetensors")
    assert checkpoint.classes == ("cat", "ship") and checkpoint.metadata["top1"] == result.top1
    test = load_images(data, "test")
    network, mean, std = checkpoint.network(), checkpoint.mean, checkpoint.std
    assert evaluate(network, test, mean=mean, std=std).top1 == result.top1
    assert result.params == sum(p.numel() for p in network.parameters())
    told = json.loads(json.dumps(result.to_data(tmp_path / "out")))
    assert (told["test_top1"], told["seed"], told["recipe"]) == (result.top1, 4, recipe.name)
    assert load_checkpoint(told["checkpoint"]).metadata["seed"] == 4


def test_a_finished_one_is_not_trained_again(architecture, data, recipe, tmp_path):
    first = retrain(architecture, data, recipe, tmp_path)
    again = retrain(
        architecture, data, recipe, tmp_path, progress=lambda _: pytest.fail("trained again")
    )
    assert again == first


def test_without_test_images_there_is_no_accuracy(architecture, data, recipe, tmp_path):
    result = retrain(architecture, data / "train", replace(recipe, epochs=1), tmp_path)
    assert (result.top1, result.top5, result.test_loss, result.test_images) == (None,) * 3 + (0,)


class StopError(Exception):
    pass


@pytest.mark.parametrize("save_seconds", [0.0, 1000.0])
def test_an_interrupted_one_goes_on_as_if_nothing_had_been(
    architecture, data, recipe, tmp_path, save_seconds
):
    def stop_after_two(report):
        if report.epoch == 2:
            raise StopError

    with pytest.raises(StopError):
        retrain(
            architecture,
            data,
            recipe,
            tmp_path / "a",
            progress=stop_after_two,
            save_seconds=save_seconds,
        )
    with (tmp_path / "a/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')  # a torn line
    later = []
    result = retrain(architecture, data, recipe, tmp_path / "a", progress=later.append)
    assert [report.epoch for report in later] == ([3] if save_seconds == 0 else [1, 2, 3])
    whole = retrain(architecture, data, recipe, tmp_path / "b")
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert (result.top1, result.test_loss) == (whole.top1, whole.test_loss)


@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_of_another_training_is_refused(architecture, data, recipe, tmp_path, finished):
    def stop(_):
        if not finished:
            raise StopError

    with contextlib.suppress(StopError):
        retrain(architecture, data, recipe, tmp_path, progress=stop, save_seconds=0)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    wider = replace(
        architecture,
        stem=replace(architecture.stem, blocks=(replace(architecture.stem.blocks[0], channels=4),)),
    )
    for arguments, message in (
        ((wider, data, recipe, 0), "another architecture"),
        ((architecture, data, replace(recipe, epochs=9), 0), r"another recipe \(epochs 3, not 9\)"),
        ((architecture, data, recipe, 1), r"another seed \(0, not 1\)"),
        ((architecture, None, recipe, 0), "another"),
    ):
        with pytest.raises(InputError, match=rf"{message}.*name another folder with --out"):
            retrain(*arguments[:3], tmp_path, seed=arguments[3])
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_a_folder_where_another_process_trains_is_refused(architecture, data, recipe, tmp_path):
    out, refused = tmp_path / "out", []

    def try_again(_):
        before = (out / "metrics.jsonl").read_bytes()
        with pytest.raises(InputError) as raised:
            retrain(architecture, data, recipe, out, progress=lambda _: pytest.fail("trained"))
        refused.append(str(raised.value))
        assert (out / "metrics.jsonl").read_bytes() == before

    retrain(architecture, data, recipe, out, progress=try_again, save_seconds=0)
    assert refused == [f"another process is training in {out}"] * 3


KEPT = ("metrics.jsonl", "state.safetensors", "checkpoint.safetensors", "result.json")


def test_metrics_are_on_disk_before_the_state_that_counts_them(
    architecture, data, recipe, tmp_path, monkeypatch
):
    synced, sync = [], os.fsync

    def fsync(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])  # noqa: PTH115
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    retrain(architecture, data, replace(recipe, epochs=1), tmp_path / "out")
    order = [next(i for i, name in enumerate(synced) if kind in name) for kind in KEPT]
    assert order == sorted(order)


def test_a_damaged_state_and_a_folder_that_cannot_be(architecture, data, recipe, tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"state\.safetensors: damaged"):
        retrain(architecture, data, recipe, tmp_path)
    with pytest.raises(InputError, match="output folder"):
        retrain(architecture, data, recipe, tmp_path / "state.safetensors/out")


def test_a_users_mistake_leaves_nothing_behind(architecture, recipe, tmp_path):
    with pytest.raises(InputError):
        retrain(architecture, tmp_path / "nowhere", recipe, tmp_path / "out")
    with pytest.raises(InputError):
        retrain(architecture, None, recipe, tmp_path / "out", device="gpu")
    with pytest.raises(InputError, match="seed must be between"):
        retrain(architecture, None, recipe, tmp_path / "out", seed=10**20)
    assert not (tmp_path / "out").exists()
