"""Which blocks of two networks correspond, and whether one can compute what the other computes.

Function-preserving changes are those of Net2Net (Chen et al. 2016, arXiv 1511.05641) and of network
morphisms (Wei et al. 2016, arXiv 1603.01670; in a search: Elsken et al. 2019, arXiv 1804.09081):
wider, deeper, a larger kernel, and here SE added, or with a wider hidden layer. How weights are
made so is `senet_nas.nn.inherit`'s.
"""

from __future__ import annotations

from dataclasses import replace

from search_space.values import SE, Architecture, Block, round_channels

RESIDUAL = ("basic", "bottleneck", "inverted_residual")
PADDED = ("conv", *RESIDUAL)  # cells whose wider form holds the narrower one in its first channels
ALIKE = ("cell", "stride", "groups", "activation", "extra")  # settings that padding can't bridge
IDEMPOTENT = ("relu", "relu6")


def counterparts(child: Architecture, parent: Architecture) -> dict[str, str | None]:
    """For the path of every block of the child that of the parent's at the same place, or None."""
    known = {path for path, _ in parent.blocks()}
    return {path: path if path in known else None for path, _ in child.blocks()}


def preserves(child: Architecture, parent: Architecture) -> bool:
    """Whether the child can be given weights with which it computes, in evaluation, what any
    parent of this architecture computes. False where that isn't known."""
    heads = [replace(network.head, blocks=()) for network in (child, parent)]
    if heads[0] != heads[1] or child.norm_eps != parent.norm_eps:
        return False
    rows = [
        (child.stem.blocks, parent.stem.blocks, False),
        *((a.blocks, b.blocks, True) for a, b in zip(child.stages, parent.stages, strict=False)),
        (child.head.blocks, parent.head.blocks, False),
    ]
    if len(child.stages) != len(parent.stages):
        return False
    width, width_before = 3, 3
    for blocks, blocks_before, may_grow in rows:
        more = len(blocks) - len(blocks_before)
        if more < 0 or (more and not (may_grow and blocks_before)):
            return False
        for block, before in zip(blocks, blocks_before, strict=False):
            if not _carries_over(block, width, before, width_before):
                return False
            width, width_before = block.channels, before.channels
        for index in range(len(blocks_before), len(blocks)):
            if not _can_be_identity(blocks[index], blocks[index - 1]):
                return False
    return True


def joins_exactly(block: Block, in_channels: int) -> bool:
    """Whether the block's SE can join a trained block without SE and change nothing: where it is
    neutral, and where a gate that is the same for all inputs can be made up for by a linear layer
    of the branch, or of a projection, that it scales."""
    se = effective_se(block, in_channels)
    if se is None or se.neutral:
        return True
    constant = se.bias or se.excitation in ("sigmoid", "hard_sigmoid")
    if block.cell not in RESIDUAL or block.extra or not constant:
        return False
    if se.placement == "identity":
        return not keeps_shape(block, in_channels)
    return se.placement in ("standard", "pre", "conv3x3")


def effective_se(block: Block, in_channels: int) -> SE | None:
    """The block's SE; None where it would gate a shortcut that isn't there."""
    se = block.se
    if se is not None and se.placement == "identity":
        without = block.cell == "conv" or (
            block.cell == "inverted_residual" and not keeps_shape(block, in_channels)
        )
        return None if without else se
    return se


def keeps_shape(block: Block, in_channels: int) -> bool:
    """Whether a residual cell has the identity for its shortcut."""
    return block.stride == 1 and block.channels == in_channels


def _carries_over(block: Block, width: int, before: Block, width_before: int) -> bool:
    if (block, width) == (before, width_before):
        return True
    return (
        block.cell in PADDED
        and block.groups == 1
        and not block.extra
        and all(getattr(block, name) == getattr(before, name) for name in ALIKE)
        and block.kernel >= before.kernel
        and block.channels >= before.channels
        and width >= width_before
        and _inside_carries_over(block, width, before, width_before)
        and _se_carries_over(block, width, before, width_before)
    )


def _inside_carries_over(block: Block, width: int, before: Block, width_before: int) -> bool:
    if block.cell == "conv":
        return True
    if block.cell == "inverted_residual" and (block.expansion == 1) != (before.expansion == 1):
        return False
    same_shortcut = keeps_shape(block, width) == keeps_shape(before, width_before)
    return same_shortcut and _inner(block, width) >= _inner(before, width_before)


def _se_carries_over(block: Block, width: int, before: Block, width_before: int) -> bool:
    se, se_before = effective_se(block, width), effective_se(before, width_before)
    if se_before is None:
        return joins_exactly(block, width)
    if se is None:
        return False
    written = ("r", "base", "divisor")  # these give the hidden width alone
    if replace(se, **{name: getattr(se_before, name) for name in written}) != se_before:
        return False
    hidden = se.hidden_channels(_gated(block, width), width)
    return hidden >= se_before.hidden_channels(_gated(before, width_before), width_before)


def _gated(block: Block, width: int) -> int:
    assert block.se is not None
    if block.se.placement == "pre":
        return width
    if block.se.placement == "conv3x3" and block.cell != "conv":
        return _inner(block, width)
    return block.channels


def _inner(block: Block, width: int) -> int:
    base = width if block.cell == "inverted_residual" else block.channels
    return round_channels(base * block.expansion)


def _can_be_identity(block: Block, previous: Block) -> bool:
    """Whether a block behind `previous` is the identity once its branch gives zero."""
    if block.cell not in RESIDUAL or block.extra or not keeps_shape(block, previous.channels):
        return False
    if block.cell != "inverted_residual":  # its activation after the sum must change nothing
        same = (previous.cell, previous.activation) == (block.cell, block.activation)
        gated_after = previous.se is not None and previous.se.placement == "post"
        if not same or gated_after or block.activation not in IDEMPOTENT:
            return False
    se = block.se
    return se is None or se.neutral or se.placement in ("standard", "pre", "conv3x3")
