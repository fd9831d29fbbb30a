"""Networks: what builds, what doesn't and how it is said, and agreement with torchvision."""

import subprocess
import sys

import pytest
import torch
import torchvision

from search_space import SE, Architecture, Block, Head, InputError, Stage, published
from senet_nas import build_network
from senet_nas.nn.fused import disabled
from senet_nas.nn.layers import conv_norm

STEM = Stage((Block("conv", 16),))


def with_block(**settings):
    return Architecture(STEM, (Stage((Block(**{"cell": "basic", "channels": 16} | settings),)),))


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (with_block(cell="basci"), "cell 'basci' is not known; did you mean 'basic'"),
        (with_block(groups=3), "groups = 3 does not divide"),
        (with_block(cell="inverted_residual", groups=2), "groups must be 1"),
        (with_block(cell="max_pool", channels=8), "channels must stay 16"),
        (with_block(cell="max_pool", extra=(("windows", "odd"),)), "allowed: padded, "),
        (with_block(cell="norm_act", stride=2), "channels must stay 16 and the stride 1"),
        (with_block(cell="separable", groups=2), "groups must be 1"),
        (with_block(cell="dense", stride=2), "stride and groups must be 1, not 2 and 1"),
        (with_block(cell="dense", extra=(("dropout_percent", 100),)), "at most 99, not 100"),
        (with_block(cell="bottleneck", extra=(("first_divisor", 0),)), "at least 1, not 0"),
        (with_block(extra=(("dilation", 2),)), "key 'dilation' is not known"),
        (with_block(cell="bottleneck", extra=(("stride_in", "last"),)), "allowed: kernel, first"),
    ],
)
def test_what_a_cell_does_not_allow_is_said_with_its_place(architecture, said):
    with pytest.raises(InputError, match=said) as caught:
        build_network(architecture, 10, 32)
    assert "stages.0.0" in str(caught.value)


def test_images_smaller_than_the_stride_are_refused():
    with pytest.raises(InputError, match="total stride of 32"):
        build_network(published("resnet18"), 10, 16)


def test_zero_classes_are_refused():
    with pytest.raises(InputError, match="num_classes"):
        build_network(with_block(), 0, 32)


def test_head_with_hidden_layer_and_dropout():
    head = Head(blocks=(Block("conv", 24, kernel=1),), hidden=20, dropout=0.5)
    network = build_network(Architecture(STEM, (), head), 7, 8)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 7)
    assert [type(m).__name__ for m in network.classifier] == [
        "Linear", "ReLU", "Dropout", "Linear",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "mobilenet_v2"])
@pytest.mark.parametrize("training", [False, True])
def test_equals_torchvision_with_its_weights(name, training):
    """Both register their layers in the order in which they run, but for shortcuts, which
    torchvision puts last in a block as we do."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=10)
    ours = build_network(published(name), 10, 64)
    assert [tuple(p.shape) for p in ours.state_dict().values()] == [
        tuple(p.shape) for p in theirs.state_dict().values()
    ]
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    for network in (ours, theirs):
        network.train(training)
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    x = torch.randn(4, 3, 64, 64)
    with disabled():  # module by module: fused, ours would round otherwise than theirs
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-4)


def test_same_seed_same_weights():
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build_network(with_block(se=SE()), 10, 32).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(n.values() for n in networks), strict=True))


NARROW_TRAINING = """
import torch
from torch import nn
from senet_nas.nn.layers import conv_norm
torch.set_num_threads(2)
for width in (8, 12):
    layer = conv_norm(width, 24, stride=2).to(memory_format=torch.channels_last)
    for batch in (63,):
        x = torch.randn(batch, width, 16, 16, requires_grad=True)
        x = x.contiguous(memory_format=torch.channels_last)
        for _ in range(60):
            layer(x).square().mean().backward()
print("done")
"""


@pytest.mark.slow
def test_narrow_strided_projections_train_without_corrupting_memory():
    """With torch's own strided convolution this crashes (two threads, odd batches)."""
    run = subprocess.run(
        [sys.executable, "-c", NARROW_TRAINING], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "done"), run.stderr


@pytest.mark.parametrize("width", [8, 12, 16])
def test_narrow_strided_projections_compute_the_same(width):
    layer = conv_norm(width, 24, stride=2)[0]
    x = torch.randn(2, width, 9, 8)
    expected = torch.nn.functional.conv2d(x, layer.weight, stride=2)
    torch.testing.assert_close(layer(x), expected)
