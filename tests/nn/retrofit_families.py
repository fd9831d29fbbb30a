"""Networks of torchvision's and timm's, with the places that each offers, told by their classes
and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import timm
import torch
import torchvision
from torch import nn
from torchvision.models.convnext import CNBlock
from torchvision.models.densenet import _DenseLayer
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.shufflenetv2 import InvertedResidual as ShuffleUnit

Names = str | Callable[[nn.Module], set[str]]


@dataclass(frozen=True, eq=False)
class Family:
    """places: by kind, a pattern that the names of its places match and no others do, or a
    function that lists them."""

    library: str
    name: str
    places: Mapping[str, Names]
    image_size: int = 64

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        if self.library == "timm":
            return timm.create_model(self.name, num_classes=10)
        settings = {"aux_logits": False} if self.name == "inception_v3" else {}
        model = torchvision.models.get_model(self.name, num_classes=10, **settings)
        if isinstance(model, torchvision.models.VGG):
            model.classifier = nn.Linear(512 * 7 * 7, 10)  # without its 119 million weights
        return model

    def expected(self, model: nn.Module) -> dict[str, set[str]]:
        names = [name for name, _ in model.named_modules()]
        return {
            kind: {name for name in names if re.fullmatch(wanted, name)}
            if isinstance(wanted, str)
            else wanted(model)
            for kind, wanted in self.places.items()
        }

    def __str__(self) -> str:
        return f"{self.library}:{self.name}"


def of_class(kind: type[nn.Module]) -> Callable[[nn.Module], set[str]]:
    return lambda model: {name for name, module in model.named_modules() if type(module) is kind}


def feature_relus(model: nn.Module) -> set[str]:
    return {f"features.{n}" for n, m in model.features.named_children() if isinstance(m, nn.ReLU)}


def linear_bottlenecks(model: nn.Module) -> set[str]:
    named = model.named_modules()
    return {
        f"{n}.conv.3" for n, m in named if isinstance(m, InvertedResidual) and m.use_res_connect
    }


RESNET = {"branch": r"layer\d\.\d+\.bn3", "block": r"layer\d\.\d+"}
LITE_RESIDUAL = r"blocks\.(1\.1|2\.1|3\.[12]|4\.[12]|5\.[123])\.bn3"
CONVNEXT = r"stages\.\d\.blocks\.\d+"

FAMILIES = (
    Family("torchvision", "resnet50", RESNET),
    Family("torchvision", "resnext50_32x4d", RESNET),
    Family("torchvision", "vgg16_bn", {"block": feature_relus}),
    Family("torchvision", "vgg16", {"block": feature_relus}),
    Family("torchvision", "inception_v3", {"block": r"Mixed_\d\w"}, image_size=96),
    Family(
        "timm",
        "inception_resnet_v2",
        {
            "branch": r"(repeat(_\d)?\.\d+|block8)\.conv2d",
            "block": r"repeat(_\d)?\.\d+|block8|mixed_\d\w",
        },
        image_size=96,
    ),
    Family(
        "torchvision",
        "mobilenet_v2",
        {
            "branch": linear_bottlenecks,
            "block": of_class(InvertedResidual),
            "depthwise": r"features\.1\.conv\.0\.2|features\.(?!1\.)\d+\.conv\.1\.2",
        },
    ),
    Family(
        "torchvision",
        "shufflenet_v2_x1_0",
        {
            "block": of_class(ShuffleUnit),
            "depthwise": r"stage\d\.\d+\.branch2\.4|stage\d\.0\.branch1\.1",
        },
    ),
    Family("torchvision", "densenet121", {"block": of_class(_DenseLayer)}),
    Family(
        "torchvision",
        "convnext_tiny",
        {
            "branch": r"features\.\d\.\d+\.block\.6",
            "block": of_class(CNBlock),
            "depthwise": r"features\.\d\.\d+\.block\.0",
        },
    ),
    Family(
        "timm",
        "convnext_tiny",
        {
            "branch": rf"{CONVNEXT}\.drop_path",
            "block": CONVNEXT,
            "depthwise": rf"{CONVNEXT}\.conv_dw",
        },
    ),
    Family("timm", "regnetx_002", {"branch": r"s\d\.b\d\.conv3\.bn", "block": r"s\d\.b\d"}),
    Family(
        "timm",
        "efficientnet_lite0",
        {
            "branch": LITE_RESIDUAL,
            "block": r"blocks\.\d\.\d",
            "depthwise": r"blocks\.0\.0\.bn1|blocks\.[1-6]\.\d\.bn2",
        },
    ),
    # SE of its own stands on each depthwise convolution.
    Family("timm", "efficientnet_b0", {"branch": LITE_RESIDUAL, "block": r"blocks\.\d\.\d"}),
    Family("timm", "seresnet50", {"block": r"layer\d\.\d+"}),
    Family("timm", "ecaresnet26t", {"block": r"layer\d\.\d+"}),
    Family(
        "timm",
        "resnetv2_50",
        {"branch": rf"{CONVNEXT}\.conv3", "block": CONVNEXT},
    ),
    Family(
        "timm",
        "nf_resnet50",
        {"branch": r"stages\.\d\.\d+\.conv3", "block": r"stages\.\d\.\d+"},
    ),
    # fx can't enter its attention blocks.
    Family(
        "timm",
        "mobilevit_xxs",
        {
            "branch": r"stages\.(0\.0|1\.[12])\.conv3_1x1\.bn",
            "block": r"stages\.\d\.\d",
            "depthwise": r"stages\.\d\.\d\.conv2_kxk\.bn",
        },
    ),
)
