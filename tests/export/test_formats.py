"""Published and retrofitted networks in every format, and what is special to timm's and to the
hub's layout: what was written is what others expect, and what can't be written is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from exported import MIXED, SUFFIXES, checkpoint_of
from in_every_format import imported

from search_space import (
    SE,
    Architecture,
    Block,
    InputError,
    Retrofit,
    Stage,
    published,
)
from senet_nas import load
from senet_nas.export import export
from senet_nas.nn.foreign.importing import import_network
from senet_nas.training import save_checkpoint, seeded_network
from senet_nas.training.imports import import_checkpoint

PUBLISHED = (
    "se_resnet50", "mobilenet_v3_large", "se_densenet121", "se_shufflenet_v1", "se_shufflenet_v2",
    "se_bn_inception", "efficientnet_b0", "efficientnet_v2_s", "regnety_200mf", "se_preresnet50",
    "se_mobilenet_v1", "mnasnet_a1", "se_vgg11", "senet154", "se_wrn_16_8",
    "se_inception_resnet_v2",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("format_name", SUFFIXES)
def test_published_networks_in_every_format(name, format_name, tmp_path):
    size = {"se_inception_resnet_v2": 96, "se_wrn_16_8": 32}.get(name, 64)
    checkpoint = checkpoint_of(published(name), size)
    path = tmp_path / f"net{SUFFIXES[format_name]}"
    cells = {block.cell for _, block in published(name).blocks()}
    lacking = cells & {"dense", "dense_layer", "inception", "shuffle_v1", "shuffle_v2"}
    lacking |= {cell for cell in cells if cell.startswith("preact")}
    if format_name == "timm" and lacking:
        with pytest.raises(InputError, match=f"the cell '{min(lacking)[:5]}"):
            export(checkpoint, format_name, path)
        return
    assert export(checkpoint, format_name, path).agreement == 100


def test_timm_treats_it_as_a_model_of_its_own(tmp_path):
    checkpoint = checkpoint_of(MIXED, 32)
    path = tmp_path / "mixed_timm.py"
    export(checkpoint, "timm", path)
    imported(path)
    assert "mixed_timm" in timm.list_models("mixed*", pretrained=True)
    model = timm.create_model("mixed_timm", pretrained=True).eval()
    told = timm.data.resolve_data_config(model.pretrained_cfg)
    assert (told["input_size"], told["crop_pct"], told["interpolation"]) == (
        (3, 32, 32), 1.0, "bilinear",
    )  # fmt: skip
    assert (told["mean"], told["std"]) == (checkpoint.mean, checkpoint.std)
    assert tuple(model.pretrained_cfg["label_names"]) == checkpoint.classes
    batch = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        features = timm.create_model("mixed_timm", pretrained=True, features_only=True).eval()
        maps = features(batch)
        assert [tuple(one.shape[1:]) for one in maps] == [(16, 8, 8), (24, 4, 4), (64, 4, 4)]
        assert features.feature_info.reduction() == [4, 8, 8]
        pooled = maps[-1].mean((2, 3))
        ours = checkpoint.network()
        torch.testing.assert_close(pooled, ours.head(ours.stages(ours.stem(batch))).mean((2, 3)))
    other = timm.create_model("mixed_timm", pretrained=True, num_classes=5, in_chans=1)
    assert other(batch[:, :1]).shape == (2, 5)


def test_what_timm_made_comes_back_to_the_same_architecture(tmp_path):
    """Our reader of timm's networks, written apart from the export, finds the blocks again."""
    blocks = (Block("basic", 16, 2, se=SE(r=4, placement="conv3x3")), Block("basic", 16, kernel=5))
    wide = Block("bottleneck", 32, 2, kernel=5, expansion=0.5, groups=2, se=SE(r=8))
    architecture = Architecture(Stage((Block("conv", 32),)), (Stage(blocks), Stage((wide,))))
    path = tmp_path / "again_timm.py"
    checkpoint = checkpoint_of(architecture, 32)
    export(checkpoint, "timm", path)
    module = imported(path)
    network, found = import_network(module.again_timm(pretrained=True).eval(), 32)
    assert found == architecture
    batch = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(batch), checkpoint.network()(batch))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"se": SE(placement="pre")}, "the placement 'pre' (stages.0.0)"),
        ({"se": SE(placement="identity")}, "the placement 'identity'"),
        ({"se": SE(squeeze="none")}, "the squeeze 'none'"),
        ({"se": SE(neutral=True)}, "a neutral excitation"),
        ({"extra": (("branch", "activated"),)}, "an activation at the end of the branch"),
        ({"cell": "shuffle_v2"}, "the cell 'shuffle_v2'"),
        ({"cell": "inverted_residual", "se": SE(r=4)}, "(placement 'standard')"),
    ],
)
def test_what_timm_cannot_express_is_named(change, said, tmp_path):
    block = Block(**{"cell": "basic", "channels": 16, **change})
    architecture = Architecture(Stage((Block("conv", 16),)), (Stage((block,)),))
    with pytest.raises(InputError) as refusal:
        export(checkpoint_of(architecture, 16), "timm", tmp_path / "x_timm.py")
    assert said in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stages", "said"),
    [((Stage(()),), "a stage without blocks"), ((), "a network without blocks")],
)
def test_what_has_no_blocks_is_no_model_of_timm(stages, said, tmp_path):
    with pytest.raises(InputError, match=said):
        export(checkpoint_of(Architecture(Stage(()), stages), 16), "timm", tmp_path / "x_timm.py")


def test_a_name_that_timm_has_is_not_taken_over(tmp_path):
    architecture = Architecture(Stage((Block("conv", 8),)), ())
    with pytest.raises(InputError, match="timm has a model of its own called resnet18"):
        export(checkpoint_of(architecture, 16), "timm", tmp_path / "resnet18.py")


@pytest.mark.parametrize("name", ["resnet", "class", "Network", "SEModule", "tuple", "timm"])
def test_a_model_is_not_called_what_its_file_needs(name, tmp_path):
    architecture = Architecture(Stage((Block("conv", 8),)), ())
    with pytest.raises(InputError, match=f"its model can't be called {name}; take another --out"):
        export(checkpoint_of(architecture, 16), "timm", tmp_path / f"{name}.py")
    assert list(tmp_path.iterdir()) == []


def test_a_class_of_any_name_goes_into_a_file_for_timm(tmp_path):
    architecture = Architecture(Stage((Block("conv", 8),)), ())
    names = ("{imports}", "{{x}}\n", "a'b\"c\\", '"""')
    export(checkpoint_of(architecture, 16, names), "timm", tmp_path / "any_timm.py")


@pytest.mark.parametrize(
    "format_name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in ("onnx", "torch") else []) for n in SUFFIXES],
)
def test_a_retrofitted_network(format_name, tmp_path):
    source = import_checkpoint("timm:resnet10t", "random", 4)
    architecture = Retrofit.of({"layer1.0": SE(r=4)}, "timm:resnet10t")
    network = seeded_network(architecture, 4, 64, seed=0)
    checkpoint = replace(
        source, architecture=architecture, weights=network.state_dict(), image_size=64
    )
    path = tmp_path / f"net{SUFFIXES[format_name]}"
    if format_name in ("python", "timm"):
        with pytest.raises(InputError, match="timm:resnet10t"):
            export(checkpoint, format_name, path)
        assert list(tmp_path.iterdir()) == []
        return
    assert export(checkpoint, format_name, path).agreement == 100
    if format_name == "safetensors":
        assert load(path).architecture == architecture


def test_a_folder_is_in_the_hubs_layout_and_comes_back(tmp_path):
    from timm.models._hub import load_model_config_from_path, load_state_dict_from_path
    from timm.models._pretrained import PretrainedCfg

    checkpoint = checkpoint_of(MIXED, 32, metadata={"recipe": {"epochs": 3}, "top1": 1.5})
    export(checkpoint, "safetensors", tmp_path / "net")
    settings, _, _ = load_model_config_from_path(tmp_path / "net")
    known = PretrainedCfg(**settings)
    assert tuple(known.input_size) == (3, 32, 32)
    assert (known.crop_pct, known.interpolation, known.crop_mode) == (1.0, "bilinear", "center")
    assert (tuple(known.mean), tuple(known.std)) == (checkpoint.mean, checkpoint.std)
    assert (known.num_classes, tuple(known.label_names)) == (3, checkpoint.classes)
    assert load_state_dict_from_path(tmp_path / "net").keys() == checkpoint.weights.keys()

    found = load(tmp_path / "net")
    for name in ("architecture", "classes", "mean", "std", "image_size", "metadata"):
        assert getattr(found, name) == getattr(checkpoint, name)
    for name, tensor in checkpoint.weights.items():
        assert torch.equal(found.weights[name], tensor)
    save_checkpoint(tmp_path / "net.safetensors", checkpoint)
    assert load(tmp_path / "net.safetensors").architecture == checkpoint.architecture


def without_a_key(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    del config["pretrained_cfg"]["mean"]
    (folder / "config.json").write_text(json.dumps(config))


def with_another_crop(folder: Path):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"crop_pct": 1.0', '"crop_pct": 1.5'))


def with_a_crop_of_another(folder: Path):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"crop_pct": 1.0', '"crop_pct": 0.875'))


def without_an_end(folder: Path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def of_another_width(folder: Path):
    path = folder / "architecture.json"
    path.write_text(path.read_text().replace("64", "72"))


def that_names_code(folder: Path):
    text = json.dumps({"retrofit": "antigravity:main", "se": {}})
    (folder / "architecture.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_a_key, "config.json: its preprocessing lacks mean"),
        (with_another_crop, "config.json: crop_pct must be at most 1, not 1.5"),
        (with_a_crop_of_another, "config.json: crop_pct or interpolation isn't the network's"),
        (without_an_end, "model.safetensors: damaged"),
        (of_another_width, "weights do not fit the architecture"),
        (that_names_code, "SENET_NAS_TRUST=antigravity:main"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
        (lambda folder: (folder / "config.json").unlink(), "holds no exported network"),
        (lambda folder: (folder / "architecture.json").write_text("{}"), "architecture.json"),
    ],
)
def test_a_damaged_folder_is_refused(damage, said, tmp_path):
    export(checkpoint_of(MIXED, 32), "safetensors", tmp_path / "net")
    damage(tmp_path / "net")
    with pytest.raises(InputError) as refusal:
        load(tmp_path / "net")
    assert said in str(refusal.value)
    assert str(tmp_path / "net") in str(refusal.value)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    checkpoint = checkpoint_of(Architecture(Stage((Block("conv", 8),)), ()), 16)
    folder = tmp_path / "net"
    export(checkpoint, "safetensors", folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    export(checkpoint, "safetensors", folder)  # an earlier export is replaced
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"net holds other files: notes\.txt"):
        export(checkpoint, "safetensors", folder)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {**before, "notes.txt": b"mine"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


def test_images_of_the_users_are_not_in_a_program(tmp_path):
    """torch.export keeps its example; an image is 3 x 64 x 64 x 4 bytes."""
    checkpoint = checkpoint_of(Architecture(Stage((Block("conv", 8, 4),)), ()), 64)
    export(checkpoint, "torch", tmp_path / "net.pt2")
    assert (tmp_path / "net.pt2").stat().st_size < 3 * 64 * 64 * 4
