"""The Inception module with batch norm (arXiv 1502.03167, appendix; arXiv 1409.4842, figure 2b)."""

from __future__ import annotations

from search_space import Block, InputError
from search_space.values import round_channels
from senet_nas.nn.branches import build_branches
from senet_nas.nn.layers import Text, extra_settings
from senet_nas.nn.placement import Unit


class Cell(Unit):
    """Branches, concatenated [+SE].

    extra: branches, as `senet_nas.nn.branches` reads them; their widths add up to the block's
    channels (a pooling alone keeps the input's). Where they aren't given: a 1x1, a kxk, two kxk
    and a pooling with a 1x1, a quarter each, expansion being the width that a kxk reads over its
    own; with a stride no 1x1 branch, and the pooling has its share. padding: `valid`, where the
    layers that have the stride, or would have one, have none (as where Inception-v3 and v4 reduce
    the map).
    """

    def __init__(self, block: Block, in_channels: int):
        settings = extra_settings(
            block, branches=Text(default_branches(block)), padding=("same", "valid")
        )
        text, valid = settings["branches"], settings["padding"] == "valid"
        head, width = build_branches(block, in_channels, text, valid)
        if width != block.channels:
            raise InputError(
                f"cell 'inception': the branches {text!r} give {width} channels, "
                f"not {block.channels}"
            )
        super().__init__(block, in_channels, head=head, head_channels=block.channels)


def default_branches(block: Block) -> str:
    """Branches for a block that doesn't say which."""
    quarter = max(1, block.channels // 4)
    reduced = round_channels(quarter * block.expansion)
    spatial = (
        f"1x1-{reduced} kxk-{quarter}, 1x1-{reduced} kxk-{quarter} kxk-{quarter}, "
    )  # fmt: skip
    if block.stride > 1:
        return f"{spatial}max 1x1-{block.channels - 2 * quarter}"
    return f"1x1-{quarter}, {spatial}avg 1x1-{block.channels - 3 * quarter}"
