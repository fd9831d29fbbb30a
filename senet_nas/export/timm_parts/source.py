"""A network as a Python file for timm: which calls build its blocks, and the file around them."""

from __future__ import annotations

import builtins
import keyword
import re
from pathlib import Path
from typing import TYPE_CHECKING

from search_space import Architecture, InputError
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.export.source.program import MARK, about
from senet_nas.export.source.text import Call, Name, written
from senet_nas.export.timm_parts.blocks import timm_calls
from senet_nas.export.timm_parts.placed import ACTIVATIONS, InexpressibleError, Placed
from senet_nas.nn.network import Network
from senet_nas.nn.placement import Unit

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint

REASONS = 3  # that are told
# Names that the file has or reads besides its parts; a model of such a name would replace them.
NAMES = (
    *("CLASSES", "NAME", "Network", "Path", "WEIGHTS", "byobnet", "default_cfgs", "mobile", "nn"),
    *("build_model_with_cfg", "generate_default_cfgs", "partial", "register_model", "resnet"),
    *("timm", "torch"),  # a module of these would hide them from what lies beside it
)
PARTS = ("BatchNormAct2d", "ClassifierHead", "ConvNormAct", "NormMlpClassifierHead", "SEModule")

USAGE = """
In Python:

    import timm
    import {stem}  # registers the model

    model = timm.create_model('{name}', pretrained=True)
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model.pretrained_cfg))
""".strip()

SOURCE = '''
{imports}
from torch import nn

NAME = "{name}"
WEIGHTS = Path(__file__).with_suffix(".weights.safetensors")
CLASSES = {classes}


class Network(byobnet.ByobNet):
    """timm's network of any blocks, of these."""

    def __init__(
        self,
        num_classes: int = len(CLASSES),
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = {dropout},
    ) -> None:
        nn.Module.__init__(self)
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.global_pool = global_pool
        self.drop_rate = drop_rate
        self.grad_checkpointing = False
        self.stem = {stem}
        self.stages = {stages}
        self.final_conv = {final}
        self.num_features = {features}
        self.feature_info = {info}
        self.stage_ends = [feature["stage"] for feature in self.feature_info]
        self.head = {head}
        self.head_hidden_size = self.head.num_features
{eps}

default_cfgs = generate_default_cfgs(
    {{
        NAME: {{
            "file": str(WEIGHTS),
            "num_classes": len(CLASSES),
            "label_names": CLASSES,
            "input_size": (3, {size}, {size}),
            "mean": {mean},
            "std": {std},
            "crop_pct": {crop_pct},
            "interpolation": "{interpolation}",
            "first_conv": {first_conv},
            "classifier": "head.fc",
        }}
    }}
)


@register_model
def {name}(pretrained: bool = False, **kwargs) -> Network:
    """The network; pretrained: with its weights."""
    features = {{"feature_cls": "getter", "out_indices": tuple(range({taps}))}}
    return build_model_with_cfg(Network, NAME, pretrained, feature_cfg=features, **kwargs)
'''.strip()


def calls_of(architecture: Architecture, network: Network) -> list[list[list[Call]]]:
    """Of the stem, each stage and the head, the calls that build each block.

    Raises `InputError` naming all that timm can't express, of the first blocks where it stands.
    """
    blocks_of = [architecture.stem.blocks, *(stage.blocks for stage in architecture.stages)]
    modules_of = [network.stem, *network.stages, network.head]
    names = ["stem", *(f"stages.{number}" for number in range(len(architecture.stages))), "head"]
    parts = zip(names, [*blocks_of, architecture.head.blocks], modules_of, strict=True)
    found: list[list[list[Call]]] = []
    reasons: dict[str, str] = {}
    width = 3
    for where, blocks, modules in parts:
        found.append([])
        if where.startswith("stages.") and not blocks:
            reasons.setdefault("a stage without blocks", where)
        for number, (block, module) in enumerate(zip(blocks, modules.children(), strict=True)):
            try:
                if not isinstance(module, Unit):
                    raise InexpressibleError(f"the cell {block.cell!r}")
                found[-1].append(timm_calls(Placed(block, width, module)))
            except InexpressibleError as error:
                reasons.setdefault(str(error), f"{where}.{number}")
            width = block.channels
    if architecture.head.hidden and not architecture.head.hidden_bias:
        reasons["a hidden layer without biases"] = "head"
    if not any(found) and not reasons:
        reasons["a network without blocks"] = "stem"
    if reasons:
        told = "; ".join(f"{what} ({where})" for what, where in list(reasons.items())[:REASONS])
        more = f"; and {len(reasons) - REASONS} more" if len(reasons) > REASONS else ""
        raise InputError(f"format timm: timm has no block for {told}{more}; take python")
    return found


def is_taken(name: str) -> bool:
    """Whether a model can't be called so: Python, or the file itself, has another use for it."""
    return keyword.iskeyword(name) or hasattr(builtins, name) or name in (*NAMES, *PARTS)


def source_of(checkpoint: Checkpoint, path: Path, name: str, calls: list[list[list[Call]]]) -> str:
    """A file that registers a model of these blocks as `name`."""
    architecture = checkpoint.architecture
    assert isinstance(architecture, Architecture)
    inputs, head = Preprocessing.of(checkpoint), architecture.head
    stem, *stages, last = [[call for block in part for call in block] for part in calls]
    values = {
        "stem": _sequential(_with_channels(stem)),
        "stages": Call("nn.Sequential", tuple(_sequential(stage) for stage in stages)),
        "final": _sequential(last) if last else Call("nn.Identity"),
        "info": _feature_info(architecture),
        "head": _head(architecture),
    }
    body = SOURCE.format(
        imports="{imports}",
        name=name,
        classes=written(inputs.classes, 0, len("CLASSES = ")),
        dropout=head.dropout,
        features=[block.channels for _, block in architecture.blocks()][-1],
        eps=_eps(architecture.norm_eps),
        size=inputs.image_size,
        mean=inputs.mean,
        std=inputs.std,
        crop_pct=inputs.crop_pct,
        interpolation=inputs.interpolation,
        first_conv=_first_conv(stem),
        taps=max(1, len(stages)),
        **{key: written(value, 2, 24) for key, value in values.items()},
    )
    usage = USAGE.format(stem=path.stem, name=name)
    docstring = about(checkpoint, path.stem, usage)
    return f"{MARK.format('timm')}\n{docstring}\n\n{body.replace('{imports}', _imports(body), 1)}\n"


def _imports(body: str) -> str:
    """Of timm's modules, those that the source names."""
    parts = [part for part in PARTS if re.search(rf"\b{part}\b", body)]
    lines = ["from functools import partial"] if "partial(" in body else []
    lines += ["from pathlib import Path", ""]
    lines.append(f"from timm.layers import {', '.join(parts)}")
    lines += ["from timm.models import _efficientnet_blocks as mobile"] if "mobile." in body else []
    others = ["byobnet", *(["resnet"] if "resnet." in body else [])]
    built = ["build_model_with_cfg", "generate_default_cfgs", "register_model"]
    lines.append(f"from timm.models import {', '.join(sorted([*others, *built]))}")
    return "\n".join(lines)


def _sequential(calls: list[Call]) -> Call:
    return Call("nn.Sequential", tuple(calls))


def _with_channels(stem: list[Call]) -> list[Call]:
    """The stem, whose first convolution reads `in_chans`."""
    if not stem or stem[0].function != "ConvNormAct":
        return stem
    first = Call("ConvNormAct", (Name("in_chans"), *stem[0].arguments[1:]), stem[0].keywords)
    return [first, *stem[1:]]


def _first_conv(stem: list[Call]) -> str | None:
    return '"stem.0.conv"' if stem and stem[0].function == "ConvNormAct" else None


def _eps(eps: float) -> str:
    lines = (
        ""
        if eps == 1e-5
        else (
            "        for module in self.modules():\n"
            "            if isinstance(module, nn.BatchNorm2d):\n"
            f"                module.eps = {eps!r}\n"
        )
    )
    return lines


def _feature_info(architecture: Architecture) -> list[Call]:
    """timm's description of where the map is taken: behind each stage, the last's behind the head's
    blocks."""
    reduction, found = 1, []
    for block in architecture.stem.blocks:
        reduction *= block.stride
    for number, stage in enumerate(architecture.stages, start=1):
        for block in stage.blocks:
            reduction *= block.stride
        channels, module = stage.blocks[-1].channels, f"stages.{number - 1}"
        if number == len(architecture.stages) and architecture.head.blocks:
            channels, module = architecture.head.blocks[-1].channels, "final_conv"
        keys = ("num_chs", "reduction", "module", "stage")
        values = (channels, reduction, module, number)
        found.append(Call("dict", (), tuple(zip(keys, values, strict=True))))
    return found


def _head(architecture: Architecture) -> Call:
    head = architecture.head
    arguments = (Name("self.num_features"), Name("num_classes"))
    pooling = (("pool_type", Name("global_pool")), ("drop_rate", Name("drop_rate")))
    if not head.hidden:
        return Call("ClassifierHead", arguments, pooling)
    act = ACTIVATIONS[head.activation]
    hidden = (("hidden_size", head.hidden), ("norm_layer", Name("nn.Identity")), ("act_layer", act))
    return Call("NormMlpClassifierHead", arguments, (*pooling, *hidden))
