"""What was exported is used by a process in which this project can't be imported."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from exported import SUFFIXES, as_network_takes

SCRIPT = """
import importlib.util, json, sys

for name in ("senet_nas", "search_space", "strategies"):
    assert importlib.util.find_spec(name) is None, name
import torch

images, found = torch.load("images.pt"), {}


def onnx():
    import onnxruntime

    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    logits = session.run(None, {"images": images.numpy()})[0]
    assert json.loads(about["image_size"]) == images.shape[-1]
    assert json.loads(about["architecture"])["stages"]
    return torch.from_numpy(logits), json.loads(about["classes"]), json.loads(about["mean"])


def python():
    import net

    network = net.load()
    image = net.preprocess("wide.png")
    assert torch.allclose(image, images[:1], atol=1e-5)
    assert not {"timm", "safetensors", "numpy.ma"} & set(sys.modules)
    return network(images), net.CLASSES, net.MEAN


def program():
    about = {"preprocessing.json": ""}
    loaded = torch.export.load("net.pt2", extra_files=about)
    data = json.loads(about["preprocessing.json"])
    return loaded.module()(images), data["classes"], data["mean"]


def timm():
    import timm

    import net_timm

    model = timm.create_model("net_timm", pretrained=True).eval()
    return model(images), model.pretrained_cfg["label_names"], model.pretrained_cfg["mean"]


def safetensors():
    import net
    from safetensors.torch import load_file

    network = net.Network()
    network.load_state_dict(load_file("net-safetensors/model.safetensors"))
    with open("net-safetensors/config.json") as file:
        config = json.load(file)
    return network.eval()(images), config["label_names"], config["pretrained_cfg"]["mean"]


with torch.inference_mode():
    for run in (python, onnx, program, timm, safetensors):
        logits, classes, mean = run()
        found[run.__name__] = (logits.clone(), list(classes), list(mean))
torch.save(found, "found.pt")
"""


@pytest.fixture
def folder(taken_home, tmp_path):
    """A copy of the exports, images, and what the network says of them."""
    path, checkpoint = taken_home
    copy = shutil.copytree(path, tmp_path / "copy")
    images = torch.cat([as_network_takes(path / "wide.png", 32), torch.randn(2, 3, 32, 32)])
    torch.save(images, copy / "images.pt")
    with torch.no_grad():
        return copy, checkpoint, checkpoint.network()(images)


def alone(folder: Path, *arguments: str) -> str:
    """What Python prints, with installed packages but without this project (`-S`: its editable
    installation isn't found either)."""
    packages = [folder, Path(sysconfig.get_paths()["purelib"])]
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_format_runs_without_this_project(folder):
    path, checkpoint, expected = folder
    alone(path, "-c", SCRIPT)
    found = torch.load(path / "found.pt")
    assert len(found) == len(SUFFIXES)
    for name, (logits, classes, mean) in found.items():
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4, msg=name)
        assert tuple(classes) == checkpoint.classes
        assert tuple(mean) == checkpoint.mean


def test_a_python_export_prints_what_an_image_shows(folder):
    path, checkpoint, expected = folder
    printed = alone(path, "net.py", "wide.png").split()
    assert printed[0] == "wide.png"
    shares = expected[0].softmax(0)
    best = checkpoint.classes[int(shares.argmax())]
    assert printed[1:3] == [f"{100 * float(shares.max()):.2f}%", best]
