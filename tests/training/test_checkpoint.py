import errno
import json
from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

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


def test_what_cannot_be_written_is_told_and_a_full_disk_is_nobodys_mistake(
    checkpoint, tmp_path, monkeypatch
):
    with pytest.raises(InputError, match="there is no folder"):
        save_checkpoint(tmp_path / "none" / "file", checkpoint)
    with pytest.raises(InputError, match="Is a directory"):
        save_checkpoint(tmp_path, checkpoint)

    def fail(*_):
        raise SafetensorError(f"Error while serializing: I/O error: it is (os error {number})")

    monkeypatch.setattr("senet_nas.training.checkpoint.save_file", fail)
    number = errno.EACCES
    with pytest.raises(InputError, match="Permission denied"):
        save_checkpoint(tmp_path / "file", checkpoint)
    number = errno.ENOSPC
    with pytest.raises(OSError, match="No space left") as raised:
        save_checkpoint(tmp_path / "file", checkpoint)
    assert not isinstance(raised.value, InputError)
    assert raised.value.errno == errno.ENOSPC


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "x.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "y.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "z.safetensors")
    for name in ("y", "z"):
        with pytest.raises(InputError, match=rf"{name}\.safetensors: damaged, or not a"):
            load_checkpoint(tmp_path / f"{name}.safetensors")


def rewrite(path, change):
    """Change what the header says, given as parsed JSON and returned as text."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["senet_nas"])
    save_file(load_file(path), path, {"senet_nas": change(about)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99 is not known"),
        ({"architecture": {"stem": []}}, "the key 'stages' is missing"),
        ({"mean": [1, 2]}, "not enough values"),
        ({"classes": None}, "not iterable"),
        ({"image_size": float("inf")}, "infinity"),
    ],
)
def test_headers_that_are_wrong(checkpoint, tmp_path, change, message):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    rewrite(path, lambda about: json.dumps(about | change))
    with pytest.raises(InputError, match=message) as raised:
        load_checkpoint(path)
    assert "x.safetensors" in str(raised.value)


def test_weights_of_another_network_do_not_load(checkpoint):
    weights = dict(checkpoint.weights)
    weights["classifier.1.bias2"] = weights.pop("classifier.1.bias")
    weights["classifier.1.weight"] = torch.zeros(3)
    message = (
        r"do not fit.*classifier\.1\.weight is \[3\], not \[10, 16\]; no classifier\.1\.bias; "
        r"classifier\.1\.bias2 is not in it$"
    )
    with pytest.raises(InputError, match=message):
        replace(checkpoint, weights=weights).network()


@pytest.mark.parametrize(
    ("channels", "message"),
    [(2_000_000, "do not fit"), (2**40, "cannot be built"), (2**70, "cannot be built")],
)
def test_a_network_larger_than_any_memory_is_refused_before_it_is_built(
    checkpoint, tmp_path, channels, message
):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    rewrite(path, lambda a: json.dumps(a).replace('"channels": 8', f'"channels": {channels}'))
    with pytest.raises(InputError, match=rf"x\.safetensors: .*{message}"):
        load_checkpoint(path)


def test_a_header_nested_too_deeply_is_damage(checkpoint, tmp_path):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    rewrite(path, lambda _: "[" * 100_000)
    with pytest.raises(InputError, match=r"x\.safetensors: damaged"):
        load_checkpoint(path)


def test_loading_draws_no_weights(checkpoint, tmp_path):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, checkpoint)
    before = torch.get_rng_state()
    load_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)
