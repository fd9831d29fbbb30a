"""When two architectures are one network: where they differ in how a width is written alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from search_space.inheritance import effective_se
from search_space.values import Architecture, Block, round_channels

HeadWidth = Callable[[Block, int], int]

IMAGE_CHANNELS = 3
REMEMBERED = 65_536  # digests of blocks


def network_key(architecture: Architecture, head_width: HeadWidth | None = None) -> str:
    """32 hex digits, equal for architectures that are the same network.

    r, base and divisor of an SE block count only by the hidden width that they come to: with 8
    channels r = 8, 16 and 32 all give 1. Division into stages doesn't count.

    head_width: of (block, input channels), the width that the placement `conv3x3` gates, for cells
    whose branch and shortcut are as wide as the block. What a gate is as wide as is the cell's to
    say; without it, SE before the output is told apart by r and divisor themselves.
    """
    digest = hashlib.sha256()
    width = IMAGE_CHANNELS
    for _, block in architecture.blocks():
        digest.update(_block_digest(block, width, head_width))
        width = block.channels
    digest.update(repr((replace(architecture.head, blocks=()), architecture.norm_eps)).encode())
    return digest.hexdigest()[:32]


def width_over_output(block: Block, input_channels: int) -> int:
    """The `head_width` of cells whose expansion is over the output's width: basic, bottleneck."""
    return round_channels(block.channels * block.expansion)


def width_over_input(block: Block, input_channels: int) -> int:
    """The `head_width` of cells whose expansion is over the input's width: inverted residuals."""
    return round_channels(input_channels * block.expansion)


@lru_cache(REMEMBERED)
def _block_digest(block: Block, input_channels: int, head_width: HeadWidth | None) -> bytes:
    gate = repr(_gate(block, input_channels, head_width))
    return hashlib.sha256(f"{replace(block, se=None)!r} {gate}".encode()).digest()


def _gate(block: Block, input_channels: int, head_width: HeadWidth | None) -> object:
    """What counts of a block's SE."""
    se = effective_se(block, input_channels)
    if se is None:
        return None
    operators = (se.placement, se.squeeze, se.excitation, se.activation, se.bias, se.neutral)
    if se.placement == "pre":
        gated = input_channels
    elif se.placement == "post" or (head_width is not None and se.placement != "conv3x3"):
        gated = block.channels
    elif head_width is not None:
        gated = head_width(block, input_channels)
    elif se.base == "own":
        return *operators, se.r, se.divisor
    else:
        gated = 0  # r divides the input's channels
    return *operators, se.hidden_channels(gated, input_channels)
