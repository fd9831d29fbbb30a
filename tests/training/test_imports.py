"""Other libraries' networks and weights as checkpoints."""

import pytest
import timm
import torch

from search_space import InputError
from senet_nas.training import load_checkpoint, save_checkpoint
from senet_nas.training.imports import import_checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """timm's smallest MobileNetV3 for ten classes, and its weights in a file."""
    torch.manual_seed(4)
    model = timm.create_model("mobilenetv3_small_050", num_classes=10).eval()
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return model, path


def test_a_saved_import_computes_what_the_model_did(weights, tmp_path):
    model, path = weights
    checkpoint = import_checkpoint("timm:mobilenetv3_small_050", path)
    save_checkpoint(tmp_path / "imported.safetensors", checkpoint)
    loaded = load_checkpoint(tmp_path / "imported.safetensors")
    assert loaded.architecture == checkpoint.architecture
    assert loaded.classes == tuple("0123456789")
    assert loaded.image_size == 224
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network()(images), model(images), atol=1e-5, rtol=1e-5)


def test_it_says_where_it_is_from(weights):
    _, path = weights
    metadata = import_checkpoint("timm:mobilenetv3_small_050", path).metadata
    assert metadata["source"] == "timm:mobilenetv3_small_050"
    assert metadata["library"] == f"timm {timm.__version__}"
    assert metadata["weights"] == "mine.pth"
    again = import_checkpoint("timm:mobilenetv3_small_050", path).metadata
    other = import_checkpoint("timm:mobilenetv3_small_050", "random", 10).metadata
    assert metadata["weights_sha256"] == again["weights_sha256"] != other["weights_sha256"]
    assert other["weights"] == "random, seed 0"


def test_images_are_cut_as_the_library_evaluates_them(weights):
    of_timm = import_checkpoint("timm:mobilenetv3_small_050", weights[1])
    config = timm.data.resolve_data_config({}, model=weights[0])
    assert (of_timm.test_crop, of_timm.test_interpolation) == (config["crop_pct"], "bicubic")
    assert config["interpolation"] == "bicubic" and config["crop_pct"] < 1
    of_torchvision = import_checkpoint("torchvision:mnasnet0_5", "random", 3)
    assert of_torchvision.test_crop == 224 / 256
    assert of_torchvision.test_interpolation == "bilinear"


def test_imagenets_classes_have_the_names_of_its_folders():
    checkpoint = import_checkpoint("torchvision:mnasnet0_5", "random")
    assert len(checkpoint.classes) == 1000
    assert checkpoint.classes[:2] == ("n01440764", "n01443537")


def test_a_new_classifier_keeps_the_rest(weights):
    model, path = weights
    checkpoint = import_checkpoint("timm:mobilenetv3_small_050", path, num_classes=3)
    assert checkpoint.classes == ("0", "1", "2")
    assert torch.equal(checkpoint.weights["stem.0.head.0.weight"], model.conv_stem.weight)


def test_what_cannot_be_imported(weights):
    _, path = weights
    with pytest.raises(InputError, match="is of no family that can be imported"):
        import_checkpoint("torchvision:squeezenet1_1", "random", 3)
    with pytest.raises(InputError, match="weights do not fit the network"):
        import_checkpoint("timm:mobilenetv3_small_075", path)
