"""Another library's weights in a network of ours, and the outputs of both."""

import torch
from torch import nn

from senet_nas.nn.fused import disabled


def with_drawn_norms(network: nn.Module) -> nn.Module:
    """The network, its norms no longer as they start: each takes part in what is compared."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(0, 0.1)
    return network


def copy_in_order(theirs: list[torch.Tensor], ours: nn.Module) -> None:
    """Their tensors, in the order in which ours registers its own."""
    own = ours.state_dict()
    assert [tuple(p.shape) for p in own.values()] == [tuple(p.shape) for p in theirs]
    ours.load_state_dict(dict(zip(own, theirs, strict=True)))


def assert_equal_outputs(
    ours: nn.Module, theirs: nn.Module, images: torch.Tensor, training: bool
) -> None:
    for network in (ours, theirs):
        network.train(training)
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    # Module by module: fused, ours would round otherwise than theirs.
    with torch.no_grad(), disabled():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-4)
