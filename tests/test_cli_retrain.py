"""`retrain` on the command line: plans, photos that are streamed, fine-tuning, twins."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
from commands import lines, refused, senet_nas, write_images
from PIL import Image

from search_space import SE, Architecture, Block, Head, Stage
from senet_nas.data import SAMPLE
from senet_nas.training import load_checkpoint
from senet_nas.training.start import Start


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Two epochs, in float32."""
    path = tmp_path_factory.mktemp("recipe") / "brief.toml"
    path.write_text(
        'epochs = 2\nbatch_size = 16\nlearning_rate = 0.1\nprecision = "fp32"\n'
        "image_size = 24\ntest_image_size = 32\ntest_crop = 0.875\n"
        'crop = "resized"\ncrop_padding = 0\n'
    )
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A file with a small network that has SE."""
    block = Block("basic", 8, stride=2, se=SE(r=2))
    stem = Stage((Block("conv", 8, stride=2),))
    path = tmp_path_factory.mktemp("network") / "small.json"
    path.write_text(Architecture(stem, (Stage((block,)),), Head()).to_json())
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Real images enlarged to many sizes: 12 to train and 5 to test on of each of two classes."""
    folder = tmp_path_factory.mktemp("photos")
    count: dict[Path, int] = {}
    with tarfile.open(SAMPLE) as archive:
        for member in archive:
            place = folder / Path(member.name).parent
            wanted = 12 if place.parent.name == "train" else 5
            if place.name not in ("cat", "ship") or count.get(place, 0) >= wanted:
                continue
            number = count[place] = count.get(place, 0) + 1
            place.mkdir(parents=True, exist_ok=True)
            image = Image.open(io.BytesIO(archive.extractfile(member).read()))
            image.resize((100 + 7 * number, 90 + 3 * number)).save(place / f"{number}.jpg")
    return folder


def test_workers_of_a_cluster_that_is_not_there_write_nothing(
    network, recipe, photos, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    out = tmp_path / "out"
    message = refused(
        "retrain", network, "--recipe", recipe, "--data", photos, "--workers", 2, "--out", out
    )
    assert message.startswith("RAY_ADDRESS")
    assert not out.exists()


def test_a_dry_run_measures_and_writes_nothing(network, recipe, photos, tmp_path):
    arguments = ("retrain", network, "--recipe", recipe, "--data", photos, "--workers", 2)
    out, copies = tmp_path / "out", ("--resized-cache", 30)
    done = senet_nas(*arguments, *copies, "--out", out, "--set", "epochs=30", "--dry-run", "--json")
    assert done.status == 0 and "copied" not in done.stderr, done.stderr
    plan = done.data()
    assert (plan["epochs"], plan["steps"], plan["steps_per_epoch"]) == (30, 60, 2)
    assert (plan["train_images"], plan["classes"], plan["image_size"]) == (24, 2, 24)
    assert plan["step_seconds"] > 0
    assert plan["hours"] == pytest.approx(60 * plan["step_seconds"] / 3600)
    # Weights, momentum: twice in the state that is replaced, weights once in the checkpoint.
    assert 5 * 4 * plan["params"] <= plan["disk_bytes"] < 5 * 4 * (plan["params"] + 500)
    assert plan["free_bytes"] > plan["disk_bytes"]
    assert plan["cache_bytes"] == 24 * 30 * 40 * 0.6
    assert not out.exists()


def test_photos_of_many_sizes_are_streamed_and_evaluated_as_the_recipe_says(
    network, recipe, photos, tmp_path
):
    out = tmp_path / "out"
    arguments = ("retrain", network, "--recipe", recipe, "--data", photos, "--out", out)
    done = senet_nas(*arguments, "--decode-workers", 1, "--tensorboard", "--json")
    assert done.status == 0, done.stderr
    result = done.data()
    assert (result["train_images"], result["test_images"]) == (24, 10)
    assert "24 images of 2 classes at 24 pixels; 2 epochs of 2 steps" in done.stderr
    assert done.stderr.count("retrain: epoch") == 2
    assert any((out / "tensorboard").iterdir())
    checkpoint = load_checkpoint(result["checkpoint"])
    assert (checkpoint.image_size, checkpoint.test_crop) == (32, 0.875)
    whole = json.loads((out / "result.json").read_text())
    for workers in (0, 2):
        data = ("--data", photos, "--decode-workers", workers)
        found = senet_nas("evaluate", result["checkpoint"], *data, "--json").data()
        assert (found["top1"], found["count"]) == (result["test_top1"], 10)
        assert found["loss"] == pytest.approx(whole["test_loss"], rel=1e-5)


def test_smaller_copies_are_read_only_when_asked_for_and_are_another_training(
    network, recipe, photos, tmp_path, caplog
):
    out = tmp_path / "out"
    arguments = ("retrain", network, "--recipe", recipe, "--data", photos, "--out", out)
    assert senet_nas(*arguments, "--resized-cache", 40, "--json").status == 0
    assert "copied once" in caplog.text
    assert "another data" in refused(*arguments)


def test_a_rate_is_scaled_when_asked(network, recipe, images, tmp_path):
    arguments = ("retrain", network, "--recipe", recipe, "--data", images, "--set", "batch_size=8")
    done = senet_nas(*arguments, "--out", tmp_path / "a", "--json")
    assert "learning_rate stays 0.1; --scale-rate would make it 0.05" in done.stderr
    done = senet_nas(*arguments, "--out", tmp_path / "b", "--scale-rate", "--json")
    assert "learning_rate 0.1 is scaled to 0.05" in done.stderr
    written = json.loads((tmp_path / "b/result.json").read_text())
    assert written["recipe"]["learning_rate"] == 0.05


@pytest.fixture(scope="module")
def trained(network, recipe, images, tmp_path_factory):
    """The checkpoint of a network taught airplanes, cats and ships."""
    out = tmp_path_factory.mktemp("trained") / "out"
    arguments = ("retrain", network, "--recipe", recipe, "--data", images, "--out", out, "--json")
    return senet_nas(*arguments).data()["checkpoint"]


def test_a_checkpoint_is_fine_tuned_to_other_classes(trained, recipe, network, tmp_path):
    data = write_images(tmp_path / "data", ("ship", "truck"))
    arguments = ("retrain", "--from", trained, "--recipe", recipe, "--data", data)
    out, slow = tmp_path / "out", ("--set", "learning_rate=1e-8", "--set", "epochs=1")
    done = senet_nas(*arguments, *slow, "--out", out, "--json")
    assert done.status == 0, done.stderr
    before, after = load_checkpoint(trained), load_checkpoint(out / "checkpoint.safetensors")
    assert after.classes == ("ship", "truck") and before.classes == ("airplane", "cat", "ship")
    assert after.mean == before.mean and after.architecture == before.architecture
    name = [key for key, tensor in before.weights.items() if tensor.shape[:1] == (3,)][-1]
    assert torch.allclose(after.weights[name][0], before.weights[name][2], atol=1e-5)
    first = "stem.0.head.0.weight"
    assert torch.allclose(after.weights[first], before.weights[first], atol=1e-5)
    same = (network, "--recipe", recipe, "--data", data, *slow)
    assert "another start" in refused("retrain", *same, "--out", out)


def test_a_start_that_knows_the_classes_is_left_as_it_is(trained):
    start = Start.of(load_checkpoint(trained))
    assert start.taught(start.classes, lambda _: pytest.fail("nothing to build")) is start


def test_twins_are_trained_in_pairs_and_compared_with_their_spread(
    network, recipe, images, tmp_path
):
    out = tmp_path / "out"
    arguments = ("retrain", network, "--recipe", recipe, "--data", images, "--out", out)
    done = senet_nas(*arguments, "--with-twin", "--seeds", 2, "--seed", 5, "--json")
    assert done.status == 0, done.stderr
    data = done.data()
    assert json.loads((out / "twins.json").read_text()) == data
    top1, gain = data["test_top1"], data["gain_of_se"]
    pairs = [top1["with-se"][seed] - top1["without-se"][seed] for seed in ("5", "6")]
    assert gain["mean"] == pytest.approx(sum(pairs) / 2) and gain["pairs"] == 2
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert data["params"]["with-se"] > data["params"]["without-se"]
    assert "gain of SE: " in done.stderr and "95% interval" in done.stderr
    for kind in ("with-se", "without-se"):
        for seed in (5, 6):
            assert lines(out / kind / f"seed-{seed}" / "metrics.jsonl") == 2
    again = senet_nas(*arguments, "--with-twin", "--seeds", 2, "--seed", 5, "--json")
    assert again.data() == data and "epoch" not in again.stderr
    shown = senet_nas(*arguments, "--with-twin", "--seeds", 2, "--seed", 5).stdout
    assert "with-se, test top-1" in shown and "gain of SE" in shown
    one = senet_nas(*arguments, "--with-twin", "--seeds", 1, "--seed", 5, "--json")
    assert one.data()["gain_of_se"]["low"] is None and "no spread known" in one.stderr


def test_twins_that_cannot_be(recipe, images, tmp_path, network):
    arguments = ("--recipe", recipe, "--with-twin", "--out", tmp_path / "out")
    assert "has no SE" in refused("retrain", "cifar_resnet20", *arguments, "--data", images)
    data = write_images(tmp_path / "data", test=0)
    assert "no test images" in refused("retrain", network, *arguments, "--data", data)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--from CHECKPOINT"),
        (["--from", "absent.safetensors"], "no such checkpoint"),
        (["resnet50", "--workers", "3"], "can't be shared by 3 workers"),
        (["resnet50", "--gpus-per-worker", "1", "--device", "cpu"], "don't go with"),
        (["resnet50", "--gpus-per-worker", "1"], "'cuda' cannot be used"),
        (["resnet50", "--scale-rate"], "--scale-rate"),
        (["resnet50", "--resized-cache", "0"], "--resized-cache"),
    ],
)
def test_wrong_orders_are_refused(arguments, said, recipe, images, tmp_path):
    if "cuda" in said and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    given = ("--recipe", recipe, "--data", images, "--out", tmp_path / "out")
    assert said in refused("retrain", *given, *arguments)
    assert not (tmp_path / "out").exists()
