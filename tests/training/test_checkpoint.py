import json

import pytest
import torch
from safetensors.torch import save_file

from search_space import InputError
from senet_nas.training import Checkpoint, load_checkpoint, save_checkpoint, seeded_network

CLASSES = tuple("abcdefghij")


@pytest.fixture
def checkpoint(architecture):
    network = seeded_network(architecture, 10, 32, 3)
    about = {"top1": 12.5, "recipe": {"epochs": 1}}
    return Checkpoint(
        architecture, network.state_dict(), CLASSES, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 32, about
    )


def test_a_round_trip_loses_nothing(checkpoint, tmp_path):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    loaded = load_checkpoint(path)
    assert loaded.architecture == checkpoint.architecture
    assert (loaded.classes, loaded.mean, loaded.std) == (CLASSES, checkpoint.mean, checkpoint.std)
    assert (loaded.image_size, loaded.metadata) == (32, checkpoint.metadata)
    images = torch.randn(4, 3, 32, 32)
    network = loaded.network()
    assert not network.training
    assert torch.equal(network(images), checkpoint.network()(images))
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_cut_off_files_are_named(checkpoint, tmp_path, kept):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: kept if isinstance(kept, int) else int(size * kept)])
    with pytest.raises(InputError, match=r"x\.safetensors: damaged, or not a checkpoint"):
        load_checkpoint(path)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "x.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "y.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "z.safetensors")
    for name in ("y", "z"):
        with pytest.raises(InputError, match=rf"{name}\.safetensors: damaged, or not a"):
            load_checkpoint(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99 is not known"),
        ({"architecture": {"stem": []}}, "the key 'stages' is missing"),
        ({"mean": [1, 2]}, "not enough values"),
        ({"classes": None}, "not iterable"),
    ],
)
def test_headers_that_are_wrong(checkpoint, tmp_path, change, message):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["senet_nas"]) | change
    save_file(load_file(path), path, {"senet_nas": json.dumps(about)})
    with pytest.raises(InputError, match=message) as raised:
        load_checkpoint(path)
    assert "x.safetensors" in str(raised.value)


def test_weights_of_another_network_do_not_load(checkpoint):
    weights = dict(checkpoint.weights)
    weights.pop("classifier.1.bias")
    from dataclasses import replace

    with pytest.raises(InputError, match=r"do not fit.*classifier\.1\.bias"):
        replace(checkpoint, weights=weights).network()
