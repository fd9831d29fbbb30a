"""References to networks, and the weights that they are given."""

import os
import sys

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models import WeightsEnum

from search_space import InputError
from senet_nas.nn.foreign.importing import read_network
from senet_nas.nn.foreign.source import IMAGENET_MEAN, IMAGENET_STD, load_source
from senet_nas.nn.foreign.weights_file import read_weights

SMALL = "timm:lcnet_035"
TORCHVISION = "torchvision:mnasnet0_5"


@pytest.fixture(scope="module", params=[SMALL, TORCHVISION])
def trained(request):
    """A reference and weights for five classes."""
    return request.param, load_source(request.param, 5, "random", seed=1).model.state_dict()


def equal(model, state):
    return all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_source_has_what_its_weights_expect():
    source = load_source("timm:inception_resnet_v2", weights="random")
    assert source.image_size == 299
    assert source.mean == (0.5, 0.5, 0.5)
    assert source.classes[0] == "n01440764"
    assert not source.model.training
    source = load_source("torchvision:mobilenet_v2", 7, "random")
    assert (source.image_size, source.std, source.classes) == (224, (0.229, 0.224, 0.225), None)


def test_random_weights_are_those_of_the_seed_and_draw_from_no_other_generator():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, other = (load_source(SMALL, 5, "random", seed).model for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert equal(first, again.state_dict())
    assert not equal(first, other.state_dict())


@pytest.mark.parametrize("form", ["safetensors", "plain", "wrapped", "parallel"])
def test_weights_of_a_file(trained, tmp_path, form):
    reference, state = trained
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pth.tar")
    if form == "safetensors":
        save_file(dict(state), path)
    elif form == "plain":
        torch.save(state, path)
    elif form == "wrapped":
        torch.save({"model": state, "epoch": 3}, path)
    else:
        renamed = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"state_dict": renamed}, path)
    source = load_source(reference, weights=path)
    assert source.model_outputs() == 5
    assert equal(source.model, state)


def test_another_number_of_classes_takes_a_new_classifier(trained, tmp_path):
    reference, state = trained
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    model = load_source(reference, 3, path).model
    differing = {name for name, t in model.state_dict().items() if t.shape != state[name].shape}
    assert {name.rpartition(".")[2] for name in differing} == {"weight", "bias"}
    assert len(differing) == 2
    assert all(
        torch.equal(t, state[n]) for n, t in model.state_dict().items() if n not in differing
    )


def test_old_files_without_counts_of_batches_fit(trained, tmp_path):
    reference, state = trained
    kept = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    torch.save(kept, tmp_path / "old.pth")
    assert load_source(reference, weights=tmp_path / "old.pth").model_outputs() == 5


def test_weights_that_do_not_fit_are_told_in_one_line(trained, tmp_path):
    _, state = trained
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(InputError, match=r"weights\.pth: weights do not fit the network: ") as told:
        load_source("timm:resnet18", weights=path)
    assert "\n" not in str(told.value)


class Payload:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_files_that_are_no_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Payload()}, tmp_path / "code.pth")
    torch.save({"epoch": 3}, tmp_path / "epoch.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("cut.pth", "cut.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not all of it")
    for name, problem in [
        ("missing.pth", "no such file of weights"),
        ("code.pth", "damaged, or more than tensors"),
        ("epoch.pth", "'epoch' is a int, not a tensor"),
        ("list.pth", "holds no tensors by name"),
        ("cut.pth", "damaged, or more than tensors"),
        ("cut.safetensors", "damaged, or not safetensors"),
        ("notes.txt", r"end in \.safetensors, \.pth"),
    ]:
        with pytest.raises(InputError, match=problem) as told:
            read_weights(tmp_path / name)
        assert "\n" not in str(told.value)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("resnet50", "must be timm:NAME, torchvision:NAME or package.module:function"),
        ("timm:resnt50", "timm network 'resnt50' is not known; close to it: resnet50"),
        ("timm:resnet50.a9_in1k", "tag of timm's resnet50 'a9_in1k' is not known"),
        ("torchvision:resnet51", "close to it: resnet50"),
        ("torchvision:resnet50.V9", "weights of torchvision's resnet50 'V9'"),
        ("no_such_module:network", "No module named 'no_such_module'"),
        ("own_networks:nothing", "has no attribute 'nothing'"),
        ("own_networks:needs", "cannot be called: missing a required argument: 'depth'"),
        ("own_networks:text", "must return an nn.Module, not str"),
        ("own_networks:NUMBER", "must be a function, not 3"),
    ],
)
def test_references_that_name_nothing(reference, problem, own_networks):
    with pytest.raises(InputError, match=problem):
        load_source(reference, weights="random")


def test_weights_that_are_not_published_may_be_a_file():
    with pytest.raises(
        InputError, match=r"timm:seresnet18: no pretrained weights: .*may be a file"
    ):
        load_source("timm:seresnet18")


def test_numbers_of_classes():
    with pytest.raises(InputError, match="num_classes must be at least 1, not 0"):
        load_source(SMALL, 0, "random")


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    """A user's module."""
    (tmp_path / "own_networks.py").write_text(
        "from torchvision.models import mnasnet0_5\n"
        "NUMBER = 3\n"
        "def network(num_classes=4, width=1):\n    return mnasnet0_5(num_classes=num_classes)\n"
        "def fixed():\n    return mnasnet0_5(num_classes=6)\n"
        "def needs(depth):\n    return None\n"
        "def text():\n    return 'network'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_networks", None)


def test_a_function_of_the_users_own(own_networks, tmp_path):
    assert load_source("own_networks:network").model_outputs() == 4
    assert load_source("own_networks:network", 9).model_outputs() == 9
    assert load_source("own_networks:fixed", 9).model_outputs() == 6
    state = torchvision.models.mnasnet0_5(num_classes=11).state_dict()
    torch.save(state, tmp_path / "own.pth")
    assert equal(load_source("own_networks:network", weights=tmp_path / "own.pth").model, state)


def test_auxiliary_heads_are_left_out():
    model = load_source("torchvision:googlenet", 3, "random").model.train()
    assert isinstance(model(torch.randn(2, 3, 64, 64)), torch.Tensor)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_published_inceptions_are_normalised_as_they_do_themselves(name, monkeypatch):
    """torchvision's own network turns ImageNet's normalisation into another one; ours is told of
    that one instead. (Random weights in the place of those that would be downloaded.)"""
    make = getattr(torchvision.models, name)
    theirs = make(weights=None, transform_input=True, init_weights=False)
    pixels = torch.rand(4, 3, 96, 96)
    with torch.no_grad():
        with_statistics_of(theirs, normalised(pixels, IMAGENET_MEAN, IMAGENET_STD))
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: theirs.state_dict())
    source = load_source(f"torchvision:{name}")
    read_network(source.model)
    with torch.no_grad():
        expected = theirs(normalised(pixels, IMAGENET_MEAN, IMAGENET_STD))
        found = source.model(normalised(pixels, source.mean, source.std))
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def with_statistics_of(network, images):
    """In evaluation mode, with norms of these images, so that an image shows in the logits."""
    norms = [m for m in network.eval().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    network(images)
    network.eval()


def normalised(pixels, mean, std):
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def test_timms_names_with_a_tag():
    tag = timm.list_pretrained("resnet18.*")[0]
    assert load_source(f"timm:{tag}", 3, "random").reference == f"timm:{tag}"
