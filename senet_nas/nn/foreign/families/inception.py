"""GoogLeNet with batch norm (arXiv 1502.03167) and Inception-v3 (arXiv 1512.00567) of torchvision,
Inception-v3 and v4 (arXiv 1602.07261) of timm.

Auxiliary heads, of training alone, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from senet_nas.nn.foreign.branching import inception, named_branches
from senet_nas.nn.foreign.layers import Foreign, Reader
from senet_nas.nn.foreign.parts import convolutions, max_pool
from senet_nas.nn.foreign.reading import Part, Reading

GOOGLENET = "torchvision.models.googlenet"
V3 = ("torchvision.models.inception", "timm.models.inception_v3")
V4 = "timm.models.inception_v4"

# What runs in each class of module, as its `forward` says.
V3_BRANCHES = {
    "InceptionA": "branch1x1 | branch5x5_1 branch5x5_2"
    " | branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 | padded_avg branch_pool",
    "InceptionB": "branch3x3 | branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 | max",
    "InceptionC": "branch1x1 | branch7x7_1 branch7x7_2 branch7x7_3"
    " | branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5"
    " | padded_avg branch_pool",
    "InceptionD": "branch3x3_1 branch3x3_2"
    " | branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4 | max",
    "InceptionE": "branch1x1 | branch3x3_1 branch3x3_2a+branch3x3_2b"
    " | branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a+branch3x3dbl_3b | padded_avg branch_pool",
}
V4_BRANCHES = {
    "Mixed3a": "maxpool | conv",
    "Mixed4a": "branch0 | branch1",
    "Mixed5a": "conv | maxpool",
    "InceptionA": "branch0 | branch1 | branch2 | branch3",
    "ReductionA": "branch0 | branch1 | branch2",
    "InceptionB": "branch0 | branch1 | branch2 | branch3",
    "ReductionB": "branch0 | branch1 | branch2",
    "InceptionC": "branch0 | branch1_0 branch1_1a+branch1_1b"
    " | branch2_0 branch2_1 branch2_2 branch2_3a+branch2_3b | branch3",
}
BRANCHES = {
    f"{GOOGLENET}.Inception": "branch1 | branch2 | branch3 | max branch4.1",
    **{f"{module}.{name}": text for module in V3 for name, text in V3_BRANCHES.items()},
    **{f"{V4}.{name}": text for name, text in V4_BRANCHES.items()},
}


def read(model: Foreign) -> Reading | None:
    """Convolutions, poolings and modules in a row, in the order of definition."""
    reader = Reader(model)
    if reader.is_a(model, f"{V4}.InceptionV4"):
        children, classifier, dropout = (
            model.features.children(),
            model.last_linear,
            model.head_drop,
        )
    elif reader.is_a(model, f"{GOOGLENET}.GoogLeNet", *(f"{module}.InceptionV3" for module in V3),
                     f"{V3[0]}.Inception3"):  # fmt: skip
        children = (child for name, child in model.named_children() if name in _in_order(model))
        classifier = model.fc
        dropout = model.head_drop if hasattr(model, "head_drop") else model.dropout
    else:
        return None
    if getattr(model, "transform_input", False):
        raise reader.error(model, "transform_input = True is not expressible (allowed: False)")
    if hasattr(model, "global_pool"):
        reader.averages(model.global_pool)
    stem, stages = _stem_and_stages(reader, list(children))
    return Reading(stem, stages, reader.linear(classifier), dropout=reader.dropout(dropout))


def _in_order(model: nn.Module) -> list[str]:
    """The names of what runs before the pooling at the end, as they are defined."""
    starts = ("conv", "maxpool", "inception", "Conv2d", "Mixed", "Pool")
    return [name for name, _ in model.named_children() if name.startswith(starts)]


def _stem_and_stages(
    reader: Reader, modules: Sequence[nn.Module]
) -> tuple[list[Part], list[list[Part]]]:
    """A stage begins where the map is reduced, or with the first module; the stem is before it."""
    parts: list[Part] = []
    first = 0
    for module in modules:
        kind = next((name for name in BRANCHES if reader.is_a(module, name)), None)
        if kind is not None:
            first = first or len(parts)
            parts.append(inception(named_branches(reader, module, BRANCHES[kind])))
        elif isinstance(module, nn.MaxPool2d):
            parts.append(max_pool(reader, module, parts[-1].block.channels))
        else:
            parts += convolutions(reader, module)
    stages: list[list[Part]] = [[]]
    for part in parts[first:]:
        if part.block.stride > 1 and stages[-1]:
            stages.append([])
        stages[-1].append(part)
    return parts[:first], stages
