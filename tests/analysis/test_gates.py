"""What SE does in a trained network, and what is left of it when it is folded."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import CLASSES, refused, senet_nas

from search_space import SE, Block, InputError, Retrofit, published
from senet_nas.analysis.fold import fold
from senet_nas.analysis.gate_statistics import GateSums
from senet_nas.analysis.gates import constant_gates, gates_of, se_blocks
from senet_nas.analysis.selection import with_se
from senet_nas.nn import SqueezeExcitation, build_network
from senet_nas.nn.folding import fold_into
from senet_nas.nn.network import build_block
from senet_nas.training import Checkpoint, load_checkpoint, save_checkpoint

ARCHITECTURE = published("se_cifar_resnet20")
PLACEMENTS = ("standard", "pre", "post", "identity", "conv3x3")


def checkpoint_of(network, architecture=ARCHITECTURE):
    third = (0.3, 0.3, 0.3)
    return Checkpoint(architecture, network.state_dict(), CLASSES, third, third, 32)


@pytest.fixture
def network():
    """With statistics and biases that are none of those at the start."""
    torch.manual_seed(0)
    made = build_network(ARCHITECTURE, len(CLASSES), 32)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    return made.eval()


@torch.no_grad()
def settle(network, paths):
    """Let these SE blocks have gates that don't depend on the image."""
    for path, se in se_blocks(network).items():
        if path in paths:
            se.expand.weight.zero_()
            se.expand.bias.normal_()


def test_shares_of_variance_are_those_that_numpy_finds():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=300)
    gates = rng.random((300, 8)) * 0.1 + rng.random((1, 8)) + 0.3 * rng.random((4, 8))[labels]
    sums = GateSums(SqueezeExcitation(8, SE(4)), classes=6)
    for part in np.array_split(np.arange(300), 7):
        tensor = torch.from_numpy(gates[part])[..., None, None]
        sums.add(tensor, torch.from_numpy(labels[part]))
    found = sums.statistics()
    channel = gates.mean(0)
    of_class = np.stack([gates[labels == k].mean(0) for k in range(4)])
    between = ((of_class[labels] - channel) ** 2).mean()
    within = ((gates - of_class[labels]) ** 2).mean()
    total = gates.var()
    assert found.classes == [0, 1, 2, 3]
    assert np.allclose(found.mean, channel)
    assert np.allclose(found.class_mean, of_class)
    deviations = [gates[labels == k].std(0) for k in range(4)]
    assert np.allclose(found.class_deviation, deviations)
    assert found.by_channel == pytest.approx(channel.var() / total)
    assert found.by_class == pytest.approx(between / total)
    assert found.by_image == pytest.approx(within / total)
    assert found.by_channel + found.by_class + found.by_image == pytest.approx(1)


def test_gates_that_depend_on_the_class_alone():
    labels = torch.tensor([0, 1, 0, 1])
    gates = torch.tensor([[0.2, 0.4], [0.8, 0.4]])[labels][..., None, None]
    sums = GateSums(SqueezeExcitation(2, SE(2)), classes=2)
    sums.add(gates, labels)
    found = sums.statistics()
    assert found.by_image == pytest.approx(0, abs=1e-12)
    assert found.by_class > 0.5


def test_saturation_is_by_the_excitations_own_range():
    for excitation, ends in (("sigmoid", (0.01, 0.99)), ("tanh", (-0.99, 0.99))):
        sums = GateSums(SqueezeExcitation(4, SE(2, excitation=excitation)), classes=1)
        low, high = ends
        gates = torch.tensor([[low, high, 0.5, 0.5]])[..., None, None]
        sums.add(gates, torch.zeros(1, dtype=torch.int64))
        assert (sums.statistics().low, sums.statistics().high) == (0.25, 0.25)


BLOCKS = {
    "basic": Block("basic", 16),
    "basic, projected": Block("basic", 24, stride=2),
    "bottleneck": Block("bottleneck", 16, expansion=0.5, groups=2),
    "inverted_residual": Block("inverted_residual", 16, expansion=3.0),
    "inverted_residual, silu": Block("inverted_residual", 24, expansion=3.0, activation="silu"),
    "conv": Block("conv", 24),
    "preact_basic": Block("preact_basic", 16),
    "dense_transition": Block("dense_transition", 8),
    "inception": Block("inception", 24),
    "inception, one branch a pooling": Block(
        "inception", 28, extra=(("branches", "1x1-4 kxk-8, max, 1x1-4"),)
    ),
    "shuffle_v2": Block("shuffle_v2", 16),
}


# Beside the gates behind an addition, and those on a shortcut that is the input itself.
REFUSED = {
    "inception, one branch a pooling": ("standard", "post", "conv3x3", "pre"),
}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", BLOCKS)
def test_folded_units_compute_what_they_did_with_these_gates(name, placement):
    torch.manual_seed(1)
    block = replace(BLOCKS[name], se=SE(4, placement=placement))
    unit = build_block(block, 16).eval()
    if unit.se is None:
        pytest.skip("nothing to gate")
    for module in unit.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(-1, 1)
            module.bias.data.normal_()
    x = torch.randn(2, 16, 9, 9)
    gates = torch.rand(unit.se.expand.out_features)
    gates[0] = 0
    with torch.no_grad(), constant_gates(unit, {"se": gates.tolist()}):
        wanted = unit(x)
    before = {key: tensor.clone() for key, tensor in unit.state_dict().items()}
    try:
        fold_into(unit, gates)
    except InputError:
        assert placement in REFUSED.get(name, ("post", "identity"))
        assert all(torch.equal(tensor, before[key]) for key, tensor in unit.state_dict().items())
        return
    assert unit.se is None
    with torch.no_grad():
        assert torch.allclose(unit(x), wanted, atol=1e-5 * float(wanted.abs().max()))


def test_negative_gates_dont_pass_a_relu():
    unit = build_block(Block("conv", 8, se=SE(2, excitation="tanh")), 8).eval()
    with pytest.raises(InputError, match="no negative gates"):
        fold_into(unit, -torch.rand(8))
    fold_into(unit, torch.rand(8))
    assert unit.se is None


def test_gates_on_the_command_line(network, images, tmp_path):
    settle(network, ["stages.0.1.se"])
    file = tmp_path / "net.safetensors"
    save_checkpoint(file, checkpoint_of(network))
    done = senet_nas("gates", file, "--data", images, "--out", tmp_path / "g", "--json")
    assert done.status == 0, done.stderr
    data = done.data()
    assert (data["images"], data["split"]) == (48, "train")
    assert [block["path"] for block in data["blocks"]] == list(se_blocks(network))
    by_path = {block["path"]: block for block in data["blocks"]}
    still = by_path["stages.0.1.se"]
    assert still["lost_frozen"] == 0
    assert still["statistics"]["by_class"] == still["statistics"]["by_image"] == 0
    assert by_path["stages.2.2.se"]["statistics"]["by_image"] > 0
    assert json.loads((tmp_path / "g" / "gates.json").read_text()) == data
    for name in ("gates_by_class.svg", "gates_within_class.svg"):
        assert "<svg" in (tmp_path / "g" / name).read_text()
    few = senet_nas("gates", file, "--data", images, "--images", 12, "--no-losses", "--json").data()
    assert few["images"] == 12
    assert few["blocks"][0]["lost_removed"] is None
    assert len(few["blocks"][0]["statistics"]["classes"]) == 3  # from all over the set


def test_fold_takes_out_what_costs_nothing(network, images, tmp_path):
    paths = list(se_blocks(network))
    settle(network, paths[3:])
    file, out = tmp_path / "net.safetensors", tmp_path / "folded.safetensors"
    save_checkpoint(file, checkpoint_of(network))
    done = senet_nas("fold", file, "--data", images, "--max-loss", "0", "--out", out, "--json")
    assert done.status == 0, done.stderr
    data = done.data()
    assert {path.removesuffix(".se") for path in paths[3:]} <= set(data["folded"])
    assert data["params_after"] < data["params_before"]
    assert data["top1_after"] >= data["top1_before"]
    folded = load_checkpoint(out)
    gone = [block.se is None for path, block in folded.architecture.blocks() if "stages" in path]
    assert sum(gone) == len(data["folded"])
    both = [senet_nas("evaluate", path, "--data", images, "--json").data() for path in (file, out)]
    if len(data["folded"]) == len(paths) - 3:  # only what doesn't depend on the image
        assert both[1]["loss"] == pytest.approx(both[0]["loss"], rel=1e-4)


def test_a_network_without_se_is_refused(images, tmp_path):
    plain = published("cifar_resnet20")
    network = build_network(plain, len(CLASSES), 32)
    save_checkpoint(tmp_path / "net.safetensors", checkpoint_of(network, plain))
    for command in ("gates", "fold"):
        said = refused(command, tmp_path / "net.safetensors", "--data", images)
        assert "no SE block" in said
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("below", [".", "further"])
def test_gates_do_not_go_to_a_file(below, network, images, tmp_path):
    save_checkpoint(tmp_path / "net.safetensors", checkpoint_of(network))
    (tmp_path / "taken").write_text("mine")
    given = ("gates", tmp_path / "net.safetensors", "--data", images)
    assert "is a file" in refused(*given, "--out", tmp_path / "taken" / below)
    assert (tmp_path / "taken").read_text() == "mine"


def test_mistakes_with_fold(network, images, tmp_path):
    file = tmp_path / "net.safetensors"
    save_checkpoint(file, checkpoint_of(network))
    before = file.read_bytes()
    given = ("fold", file, "--data", images)
    assert "would replace" in refused(*given, "--out", file)
    assert "no folder" in refused(*given, "--out", tmp_path / "none" / "net.safetensors")
    for loss in ("nan", "-1"):
        assert "'--max-loss'" in refused(*given, "--max-loss", loss)
    with pytest.raises(InputError, match="at least 0 points"):
        fold(checkpoint_of(network), str(images), float("nan"))
    assert "none.safetensors" in refused("fold", tmp_path / "none.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_fold_tells_of_all_its_passes(network, images):
    told = []
    fold(checkpoint_of(network), str(images), 100.0, images=6, on_pass=lambda *n: told.append(n))
    assert told == [(n, 19) for n in range(1, 20)]


@pytest.mark.parametrize("squeeze", ["max", "none"])
def test_gates_of_other_squeezes(squeeze, images):
    architecture = with_se(ARCHITECTURE, [f"se.squeeze={squeeze}", "se.excitation=hard_sigmoid"])
    torch.manual_seed(0)
    network = build_network(architecture, len(CLASSES), 32)
    checkpoint = checkpoint_of(network, architecture)
    found = gates_of(checkpoint, str(images), images=6, losses=())
    assert all((block.statistics.by_place > 0) == (squeeze == "none") for block in found.blocks)
    _, folded = fold(checkpoint, str(images), 100.0, images=6)
    assert len(folded.folded) == (0 if squeeze == "none" else 9)
    if squeeze == "none":
        assert set(folded.kept.values()) == {"its gates differ from place to place"}


def test_gates_of_a_retrofitted_network(images):
    value = Retrofit.of({"layer1.0": SE(16), "layer2.0.bn2": SE(16)}, "torchvision:resnet18")
    torch.manual_seed(0)
    network = build_network(value, len(CLASSES), 32)
    checkpoint = checkpoint_of(network, value)
    found = gates_of(checkpoint, str(images), images=6)
    assert [block.path for block in found.blocks] == list(se_blocks(network))
    assert found.blocks[0].lost_removed == 0  # its gates start at one
    assert found.blocks[0].statistics.mean == pytest.approx([1.0] * 64)
    with pytest.raises(InputError, match="not retrofitted"):
        fold(checkpoint, str(images), 1.0, images=6)
