"""What is exported computes what the network computes; what doesn't is not kept."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from commands import refused, senet_nas, write_images
from exported import checkpoint_of, normalised

from search_space import Architecture, InputError
from senet_nas.data import load_images
from senet_nas.export import ExportError, export, format_names
from senet_nas.export.check import Opened, compare, write_and_compare
from senet_nas.export.images import RealImages
from senet_nas.training import Checkpoint, load_checkpoint, save_checkpoint

TWO_FACED = '''
import torch

from search_space import Block
from senet_nas.nn.layers import conv_norm
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """A convolution that is another one where it is exported."""

    def __init__(self, block: Block, in_channels: int):
        head = conv_norm(in_channels, block.channels, block.kernel, block.stride)
        super().__init__(block, in_channels, head=head, head_channels=block.channels)

    def forward(self, x):
        y = super().forward(x)
        return 1.1 * y if torch.compiler.is_compiling() else y
'''


def test_an_export_does_not_replace_its_checkpoint(tmp_path):
    path = tmp_path / "net.safetensors"
    architecture = Architecture.from_json(
        '{"stem": [{"cell": "conv", "channels": 8}], "stages": []}'
    )
    save_checkpoint(path, checkpoint_of(architecture, 16))
    before = path.read_bytes()
    (tmp_path / "link").symlink_to(path)
    for out in (path, tmp_path / "link"):
        assert "would replace" in refused("export", path, "--format", "onnx", "--out", out)
    assert path.read_bytes() == before


def test_an_export_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    import senet_nas.nn.cells as package

    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "two_faced.py").write_text(TWO_FACED)
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path))
    text = json.dumps({"stem": [{"cell": "two_faced", "channels": 8, "stride": 4}], "stages": []})
    checkpoint = checkpoint_of(Architecture.from_json(text), 32)
    path = tmp_path / "net.onnx"
    path.write_text("an earlier export")
    with pytest.raises(ExportError, match=r"net\.onnx: its logits differ"):
        export(checkpoint, "onnx", path)
    assert path.read_text() == "an earlier export"
    save_checkpoint(tmp_path / "net.safetensors", checkpoint)
    path.unlink()
    done = senet_nas("export", tmp_path / "net.safetensors", "--format", "onnx")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"cells", "net.safetensors"}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of a small network, in a file."""
    text = json.dumps({"stem": [{"cell": "conv", "channels": 8, "stride": 4}], "stages": []})
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, checkpoint_of(Architecture.from_json(text), 16))
    return path


def test_export_from_the_command_line(saved):
    done = senet_nas("export", saved, "--format", "onnx", "--json")
    assert done.status == 0
    path = saved.with_suffix(".onnx")
    assert done.data()["path"] == str(path)
    assert done.data()["largest_difference"] < 1e-3
    assert (done.data()["batch_sizes"], done.data()["images"]) == ([1, 8], 32)
    assert done.data()["bytes"] == path.stat().st_size
    assert "details" not in done.data()
    onnx.checker.check_model(onnx.load(path), full_check=True)


@pytest.mark.parametrize("name", ["tensorflow", "", "../onnx", "a/b", "check"])
def test_an_unknown_format_is_refused(name, saved):
    assert "onnx" in refused("export", saved, "--format", name)
    assert list(saved.parent.iterdir()) == [saved]


def test_every_format_has_a_name():
    assert format_names() == ["onnx", "python", "safetensors", "timm", "torch"]


def test_a_small_networks_mistakes_are_seen_too(tmp_path):
    """Logits near zero that hardly differ between images are compared by how they do."""
    images = torch.randn(16, 3)
    network = torch.nn.Linear(3, 4)
    torch.nn.init.normal_(network.weight, std=1e-5)
    torch.nn.init.zeros_(network.bias)
    with torch.no_grad():
        assert compare(tmp_path / "x", network, images, network).agreement == 100
        with pytest.raises(ExportError, match="its logits differ"):
            compare(tmp_path / "x", network, images, lambda batch: 1.01 * network(batch))
        with pytest.raises(ExportError, match="its logits differ"):
            compare(tmp_path / "x", network, images, lambda batch: network(batch) * float("nan"))
        with pytest.raises(ExportError, match=r"\[16, 3\], the network's \[16, 4\]"):
            compare(tmp_path / "x", network, images, lambda batch: network(batch)[:, :3])


def test_an_export_that_loses_its_class_names_is_not_kept(saved, tmp_path):
    checkpoint = load_checkpoint(saved)
    images = RealImages(checkpoint)
    others = replace(images.preprocessing, classes=tuple(reversed(checkpoint.classes)))

    def opened(path: Path) -> Opened:
        assert path.read_text() == "written"
        return Opened(checkpoint.network(), others)

    arguments = (checkpoint, images, lambda path: path.write_text("written"), opened)
    with pytest.raises(ExportError, match="class names are not the network's"):
        write_and_compare(tmp_path / "net.own", *arguments)
    assert list(tmp_path.iterdir()) == [saved]


@pytest.mark.parametrize("out", ["absent/net.onnx", ".", "net.safetensors/net.onnx"])
def test_a_place_where_no_file_can_be_is_refused(out, saved):
    before = saved.read_bytes()
    assert str(saved.parent) in refused(
        "export", saved, "--format", "onnx", "--out", saved.parent / out
    )
    assert list(saved.parent.iterdir()) == [saved]
    assert saved.read_bytes() == before


def truncated(path: Path):
    path.write_bytes(path.read_bytes()[:-200])


def without_header(path: Path):
    path.write_bytes(path.read_bytes()[100:])


def empty(path: Path):
    path.write_bytes(b"")


def of_another_network(path: Path):
    found = load_checkpoint(path)
    text = found.architecture.to_json().replace('"channels": 8', '"channels": 12')
    other = Architecture.from_json(text)
    save_checkpoint(
        path,
        Checkpoint(other, found.weights, found.classes, found.mean, found.std, found.image_size),
    )


def absent(path: Path):
    path.unlink()


@pytest.mark.parametrize("damage", [truncated, without_header, empty, of_another_network, absent])
def test_a_damaged_checkpoint_is_refused(damage, saved, images):
    damage(saved)
    assert str(saved) in refused("export", saved, "--format", "onnx")
    assert str(saved) in refused("evaluate", saved, "--data", images)
    assert not saved.with_suffix(".onnx").exists()


def test_a_missing_package_is_said(saved, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    assert "pip install 'senet-nas[export]'" in refused("export", saved, "--format", "onnx")


def test_images_of_other_classes_are_refused(saved, tmp_path):
    data = write_images(tmp_path / "data", ("cat", "frog"))
    message = refused("evaluate", saved, "--data", data)
    assert "not among them: frog" in message
    assert str(data) in message


def test_images_of_some_of_the_classes_are_told_apart_from_all(saved, tmp_path):
    checkpoint = load_checkpoint(saved)
    some = checkpoint.classes[1:]
    data = write_images(tmp_path / "data", some)
    found = senet_nas("evaluate", saved, "--data", data, "--json").data()
    images = load_images(data, "test", checkpoint.image_size)
    pixels = normalised(images.images.numpy(), checkpoint.mean, checkpoint.std)
    with torch.no_grad():
        logits = checkpoint.network()(pixels)
    right = logits.argmax(1) == images.labels + 1
    assert found["count"] == len(images)
    assert found["top1"] == pytest.approx(100 * right.double().mean().item())


def test_weights_that_do_not_fit_are_said(saved):
    of_another_network(saved)
    with pytest.raises(InputError, match="do not fit"):
        load_checkpoint(saved).network()
