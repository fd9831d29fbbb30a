"""MobileNet (arXiv 1704.04861, table 1), and with SE on each separable unit's output: r = 16,
without biases, as the SE paper counts (it released no weights of this one).

With ReLU6 as in the authors' code (and timm); the paper writes ReLU. The norms add 1e-5, as in
timm; TensorFlow's add 1e-3.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Stage

# Channels, units, stride of the first unit.
STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))


def mobilenet_v1(se: SE | None = None) -> Architecture:
    """Width multiplier 1."""
    stages = tuple(
        Stage(
            tuple(
                Block("separable", channels, 1 if index else stride, activation="relu6", se=se)
                for index in range(units)
            )
        )
        for channels, units, stride in STAGES
    )
    return Architecture(Stage((Block("conv", 32, stride=2, activation="relu6"),)), stages)


def architectures() -> Makers:
    """mobilenet_v1, se_mobilenet_v1."""
    se = SE(r=16, bias=False)
    return {"mobilenet_v1": mobilenet_v1, "se_mobilenet_v1": partial(mobilenet_v1, se)}
