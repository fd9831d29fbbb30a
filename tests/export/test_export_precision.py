"""ONNX in half precision and in eight bits: what it computes, what it costs, and what it says."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from commands import refused, senet_nas
from exported import MEAN, STD, checkpoint_of, normalised

from search_space import SE, Architecture, Block, Stage
from senet_nas.data import load_images
from senet_nas.export import ExportError, export, format_names
from senet_nas.export.options import options_of
from senet_nas.training import Checkpoint, save_checkpoint, seeded_network

BLOCKS = (
    Block("basic", 16, 2, se=SE(r=4)),
    Block("basic", 32, 2, se=SE(r=4, placement="conv3x3", squeeze="max")),
)
NETWORK = Architecture(Stage((Block("conv", 16),)), (Stage(BLOCKS),))


@pytest.fixture(scope="module")
def trained() -> Checkpoint:
    """A network that tells ships from frogs, in 60 steps on the carried images."""
    images = load_images(None, "train", 32)
    names = ("frog", "ship")
    numbers = [images.classes.index(name) for name in names]
    chosen = torch.cat([(images.labels == n).nonzero().flatten() for n in numbers])
    labels = (images.labels[chosen] == numbers[1]).long()
    pixels = normalised(images.images[chosen].numpy(), MEAN, STD)
    network = seeded_network(NETWORK, 2, 32, seed=0).train()
    optimiser = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        batch = torch.randint(len(labels), (32,), generator=generator)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(pixels[batch]), labels[batch]).backward()
        optimiser.step()
    return Checkpoint(NETWORK, network.state_dict(), names, MEAN, STD, 32)


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """Carried images of the two classes, as files."""
    from commands import write_images

    return write_images(tmp_path_factory.mktemp("two"), ("frog", "ship"), train=30, test=20)


def run(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0])


def fused(path, to):
    """The operators that onnxruntime runs on this CPU."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(to)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(to).graph.node}


def test_eight_bits_and_what_they_cost(trained, two_classes, tmp_path):
    path = tmp_path / "net.onnx"
    export(trained, "onnx", tmp_path / "full.onnx")
    options = {"int8": True, "calibration": 10, "held": 50}
    told = export(trained, "onnx", path, str(two_classes), **options).to_data()
    assert {entry.name for entry in tmp_path.iterdir()} == {"net.onnx", "full.onnx"}
    assert (told["calibration_images"], told["images"]) == (10, 50)
    images = load_images(two_classes, "train", 32)
    with torch.no_grad():
        logits = trained.network()(normalised(images.images.numpy(), MEAN, STD))
    right = int((logits.argmax(1) == images.labels).sum())  # of all 60, of which 50 were held
    assert right - 10 <= told["accuracy"] * 50 / 100 <= right
    assert told["accuracy"] - told["accuracy_int8"] == pytest.approx(told["accuracy_cost"])
    assert told["accuracy_int8"] > 70
    assert told["agreement"] >= 90
    assert told["bytes"] == path.stat().st_size < (tmp_path / "full.onnx").stat().st_size

    model = onnx.load(path)
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    wide = [t for t in model.graph.initializer if len(t.dims) == 4]
    assert {t.data_type for t in wide} == {onnx.TensorProto.INT8}
    assert "QLinearConv" in fused(path, tmp_path / "fused.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["classes"]) == ["frog", "ship"]

    test = load_images(two_classes, "test", 32)
    batch = normalised(test.images.numpy(), MEAN, STD)
    with torch.no_grad():
        expected = trained.network()(batch)
    got = run(path, batch)
    assert float((got - expected).abs().max()) > 0
    assert np.corrcoef(got[:, 0], expected[:, 0])[0, 1] > 0.98
    torch.testing.assert_close(run(path, batch[:1]), got[:1], atol=1e-4, rtol=1e-3)


def test_too_little_agreement_leaves_no_file(tmp_path):
    """Of a network that hardly tells images apart."""
    checkpoint = checkpoint_of(NETWORK, 32, tuple("abcdefghij"))
    options = {"int8": True, "calibration": 2, "held": 60, "least_agreement": 100}
    with pytest.raises(ExportError, match=r"keep their top class, fewer than --least-agreement"):
        export(checkpoint, "onnx", tmp_path / "net.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_half_precision(trained, tmp_path):
    path = tmp_path / "net.onnx"
    told = export(trained, "onnx", path, fp16=True)
    model = onnx.load(path)
    wide = [t for t in model.graph.initializer if len(t.dims) == 4]
    assert {t.data_type for t in wide} == {onnx.TensorProto.FLOAT16}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    test = load_images(None, "test", 32)
    batch = normalised(test.images[:3].numpy(), MEAN, STD)
    with torch.no_grad():
        expected = trained.network()(batch)
    torch.testing.assert_close(run(path, batch), expected, atol=0.05, rtol=0.02)
    assert 0 < told.largest_difference < 0.1


@pytest.fixture
def saved(trained, tmp_path):
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, trained)
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "onnx", "--int9"], "option '--int9' is not known; did you mean '--int8'?"),
        (["--format", "onnx", "--calibration"], "--calibration needs a value"),
        (["--format", "onnx", "--held", "many"], "--held must be a whole number, not 'many'"),
        (["--format", "onnx", "--least-agreement=x"], "must be a number, not 'x'"),
        (["--format", "onnx", "--fp16=maybe"], "--fp16 must be true or false"),
        (["--format", "onnx", "--int8", "--fp16"], "exclude each other"),
        (["--format", "onnx", "--int8", "--held", "0"], "held must be a whole number"),
        (["--format", "onnx", "--int8", "--least-agreement", "101"], "must be 0 to 100"),
        (["--format", "onnx", "more"], "option 'more' is not known"),
        (["--format", "torch", "--int8"], "format torch: there are no options"),
        (["--format", "torch", "--out", "net.pt"], "must end in .pt2"),
        (["--format", "python", "--out", "net.txt"], "must end in .py"),
    ],
)
def test_a_wrong_option_is_said(arguments, said, saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    assert said in refused("export", saved.name, *arguments)
    assert list(saved.parent.iterdir()) == [saved]


def test_the_help_lists_the_options_of_every_format():
    printed = senet_nas("export", "--help").stdout
    for name in format_names():
        assert name in printed
        for option in options_of(name).values():
            assert option.flag in printed
