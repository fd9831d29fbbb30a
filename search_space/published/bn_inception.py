"""BN-Inception (arXiv 1502.03167, figure 5) as the authors' and the SE paper's Caffe has it, and
with SE on the output of each module, r = 16.

That network differs from figure 5 in module 4c, whose pooling has 128 channels instead of 96: its
output is then 608 wide and that of 4e 1056. Its convolutions have biases, which the norms behind
them make void; here they have none.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Stage

# 1x1; 3x3 and the 1x1 before it; two 3x3 and the 1x1 before them; pooling and the 1x1 after it.
Module = tuple[int, tuple[int, int], tuple[int, int], tuple[str, int]]

MEAN, MAX = "padded_avg", "max"
STAGES: tuple[tuple[Module, ...], ...] = (
    (
        (64, (64, 64), (64, 96), (MEAN, 32)),
        (64, (64, 96), (64, 96), (MEAN, 64)),
        (0, (128, 160), (64, 96), (MAX, 0)),
    ),
    (
        (224, (64, 96), (96, 128), (MEAN, 128)),
        (192, (96, 128), (96, 128), (MEAN, 128)),
        (160, (128, 160), (128, 160), (MEAN, 128)),
        (96, (128, 192), (160, 192), (MEAN, 128)),
        (0, (128, 192), (192, 256), (MAX, 0)),
    ),
    (
        (352, (192, 320), (160, 224), (MEAN, 128)),
        (352, (192, 320), (192, 224), (MAX, 128)),
    ),
)
STEM_WIDTH = 192


def bn_inception(se: SE | None = None) -> Architecture:
    """Modules 3a to 5b; the last of 3 and 4 halve the map."""
    ceil = (("windows", "ceil"),)
    stem = Stage(
        (
            Block("conv", 64, stride=2, kernel=7),
            Block("max_pool", 64, stride=2, extra=ceil),
            Block("conv", 64, kernel=1),
            Block("conv", STEM_WIDTH),
            Block("max_pool", STEM_WIDTH, stride=2, extra=ceil),
        )
    )
    width = STEM_WIDTH
    stages = []
    for modules in STAGES:
        blocks = []
        for module in modules:
            blocks.append(_block(width, module, se))
            width = blocks[-1].channels
        stages.append(Stage(tuple(blocks)))
    return Architecture(stem, tuple(stages))


def _block(in_channels: int, module: Module, se: SE | None) -> Block:
    """A module without a 1x1 halves the map, and its pooling keeps all channels."""
    one, (reduced, single), (double_reduced, double), (pooling, projected) = module
    branches = [
        f"1x1-{reduced} 3x3-{single}",
        f"1x1-{double_reduced} 3x3-{double} 3x3-{double}",
        f"{pooling} 1x1-{projected}" if projected else pooling,
    ]
    if one:
        branches.insert(0, f"1x1-{one}")
    channels = one + single + double + (projected or in_channels)
    extra = (("branches", ", ".join(branches)),)
    return Block("inception", channels, 1 if one else 2, se=se, extra=extra)


def architectures() -> Makers:
    """bn_inception, se_bn_inception."""
    return {"bn_inception": bn_inception, "se_bn_inception": partial(bn_inception, SE(r=16))}
