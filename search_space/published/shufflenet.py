"""ShuffleNet (arXiv 1707.01083, table 1) and ShuffleNetV2 (arXiv 1807.11164, table 5), and with SE
on the branch of each unit before it is put together with the shortcut, r = 16.

There it gives ShuffleNet the 2.4M parameters that the SE paper prints; on the units' outputs it
would give 2.59M. The SE paper has no ShuffleNetV2.
"""

from __future__ import annotations

from functools import partial

from search_space.published import Makers
from search_space.values import SE, Architecture, Block, Head, Stage

REPEATS = (4, 8, 4)
V1_WIDTHS = {3: (240, 480, 960)}  # by groups, at width 1x
V2_WIDTHS = {
    "0_5": (48, 96, 192, 1024),
    "1_0": (116, 232, 464, 1024),
    "1_5": (176, 352, 704, 1024),
    "2_0": (244, 488, 976, 2048),
}
STEM = Stage((Block("conv", 24, stride=2), Block("max_pool", 24, stride=2)))


def shufflenet_v1(se: SE | None = None, groups: int = 3) -> Architecture:
    """At width 1x. The first 1x1 of the first unit has no groups, as it reads few channels."""

    def block(stage: int, index: int, width: int) -> Block:
        extra = (("first", "dense"),) if stage == index == 0 else ()
        stride = 1 if index else 2
        return Block("shuffle_v1", width, stride, 3, 0.25, groups, se=se, extra=extra)

    stages = tuple(
        Stage(tuple(block(stage, index, width) for index in range(repeats)))
        for stage, (width, repeats) in enumerate(zip(V1_WIDTHS[groups], REPEATS, strict=True))
    )
    return Architecture(STEM, stages)


def shufflenet_v2(se: SE | None = None, width: str = "1_0") -> Architecture:
    """width: of the units, as part of a name (`0_5`)."""
    *widths, last = V2_WIDTHS[width]
    stages = tuple(
        Stage(
            tuple(
                Block("shuffle_v2", channels, stride=1 if index else 2, se=se)
                for index in range(repeats)
            )
        )
        for channels, repeats in zip(widths, REPEATS, strict=True)
    )
    return Architecture(STEM, stages, Head(blocks=(Block("conv", last, kernel=1),)))


def architectures() -> Makers:
    """shufflenet_v1, shufflenet_v2 (1x), shufflenet_v2_x0_5, _x1_5 and _x2_0, and each with `se_`
    before."""
    found: Makers = {}
    for prefix, se in (("", None), ("se_", SE(r=16))):
        found[f"{prefix}shufflenet_v1"] = partial(shufflenet_v1, se)
        for width in V2_WIDTHS:
            suffix = "" if width == "1_0" else f"_x{width}"
            found[f"{prefix}shufflenet_v2{suffix}"] = partial(shufflenet_v2, se, width)
    return found
