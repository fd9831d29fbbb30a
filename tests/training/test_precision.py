import pytest
import torch

from senet_nas.training import mixed_precision, resolve_precision, seeded_network

CPU = torch.device("cpu")


def gradients(architecture, dtype):
    network = seeded_network(architecture, 10, 32, 0).eval()  # no dropout
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with mixed_precision(network, dtype, CPU):
        logits = network(images)
    assert logits.dtype == dtype
    logits.float().square().sum().backward()
    return torch.cat([p.grad.flatten() for p in network.parameters()])


def test_gradients_in_bfloat16_point_the_same_way(architecture):
    exact, rounded = (gradients(architecture, t) for t in (torch.float32, torch.bfloat16))
    assert torch.cosine_similarity(exact, rounded, dim=0) > 0.99
    assert float(rounded.norm()) == pytest.approx(float(exact.norm()), rel=0.05)


def test_strided_depthwise_convolutions_compute_in_float32_and_only_inside(architecture):
    network = seeded_network(architecture, 10, 32, 0)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    images = torch.randn(2, 3, 32, 32)
    with mixed_precision(network, torch.bfloat16, CPU):
        patched = [m for m in convolutions if "forward" in vars(m)]
        network(images)
    assert [(m.groups, m.stride) for m in patched] == [(16, (2, 2))]
    assert not any("forward" in vars(m) for m in network.modules())
    assert network(images).dtype == torch.float32


def test_a_context_within_another_leaves_its_layers_alone(architecture):
    """As where a network is evaluated amid its training."""
    network = seeded_network(architecture, 10, 32, 0)

    def patched():
        return [name for name, m in network.named_modules() if "forward" in vars(m)]

    with mixed_precision(network, torch.bfloat16, CPU):
        outside = patched()
        with mixed_precision(network, torch.bfloat16, CPU):
            assert patched() == outside
        assert len(patched()) == len(outside) == 1
    assert not patched()


@pytest.mark.parametrize(
    "layer", [torch.nn.Linear(8, 8, bias=False), torch.nn.Conv2d(8, 8, 1, bias=False)]
)
def test_weights_changed_inside_are_seen(layer):
    x = torch.ones(2, 8, 4, 4) if isinstance(layer, torch.nn.Conv2d) else torch.ones(2, 8)
    with mixed_precision(layer, torch.bfloat16, CPU):
        before = layer(x)
        with torch.no_grad():
            layer.weight.mul_(2)
        after = layer(x)
    assert torch.equal(after, 2 * before)


def test_names_of_precisions():
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    assert resolve_precision("auto", CPU) in (torch.float32, torch.bfloat16)
