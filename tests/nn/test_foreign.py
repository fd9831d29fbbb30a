"""timm's and torchvision's networks read as ours: the same parameters, the same outputs with their
weights, the published architecture; and what isn't expressible is named."""

from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn

from search_space import SE, InputError, published
from search_space.errors import RunError
from senet_nas.nn.foreign.importing import import_network, read_network, weight_names
from senet_nas.nn.fused import disabled

IMAGE_SIZE = 80
WITH_HEADS = ("googlenet", "inception_v3")

# Of each family the small ones, and of each library's way to write a block at least one.
VARIANTS = [
    "torchvision:resnet18",
    "timm:resnet26",
    "timm:seresnet18",
    "timm:resnet10t",
    "timm:resnet14t",
    "timm:legacy_seresnext26_32x4d",
    "timm:legacy_seresnet18",
    "timm:gernet_s",
    "timm:seresnext26ts",
    "torchvision:regnet_y_400mf",
    "timm:regnetx_002",
    "timm:regnety_004",
    "torchvision:efficientnet_b0",
    "timm:efficientnet_lite0",
    "timm:tinynet_e",
    "timm:tf_efficientnet_b0",
    "timm:tf_efficientnetv2_b0",
    "timm:efficientnet_es",
    "timm:mobilenet_edgetpu_v2_xs",
    "timm:fbnetc_100",
    "torchvision:mobilenet_v2",
    "timm:mobilenetv2_050",
    "torchvision:mobilenet_v3_small",
    "torchvision:mobilenet_v3_large",
    "timm:mobilenetv3_large_075",
    "timm:mobilenetv3_small_050",
    "timm:tf_mobilenetv3_small_minimal_100",
    "timm:mobilenetv3_rw",
    "torchvision:mnasnet0_5",
    "timm:mnasnet_small",
    "timm:semnasnet_075",
    "timm:spnasnet_100",
    "timm:hardcorenas_a",
    "timm:lcnet_035",
    "timm:mobilenetv1_100",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:googlenet",
    "timm:resnetv2_18",
]

PUBLISHED = [
    ("torchvision:resnet18", "resnet18"),
    ("timm:resnet50", "resnet50"),
    ("torchvision:resnet152", "resnet152"),
    ("timm:seresnet50", "se_resnet50"),
    ("timm:seresnet101", "se_resnet101"),
    ("torchvision:resnext50_32x4d", "resnext50_32x4d"),
    ("timm:seresnext101_32x4d", "se_resnext101_32x4d"),
    ("timm:legacy_senet154", "senet154"),
    ("timm:resnetv2_50", "preresnet50"),
    ("timm:regnetx_002", "regnetx_200mf"),
    ("timm:regnety_002", "regnety_200mf"),
    ("torchvision:efficientnet_b0", "efficientnet_b0"),
    ("timm:efficientnet_b0/0.2", "efficientnet_b0"),
    ("timm:semnasnet_100/0.2", "mnasnet_a1"),
    ("timm:mobilenetv1_100", "mobilenet_v1"),
    ("torchvision:mobilenet_v2", "mobilenet_v2"),
    ("timm:mobilenetv2_100/0.2", "mobilenet_v2"),
    ("torchvision:mobilenet_v3_large", "mobilenet_v3_large"),
    ("torchvision:mobilenet_v3_small", "mobilenet_v3_small"),
    ("torchvision:shufflenet_v2_x0_5", "shufflenet_v2_x0_5"),
    ("torchvision:shufflenet_v2_x1_0", "shufflenet_v2"),
    ("torchvision:efficientnet_v2_s", "efficientnet_v2_s"),
    ("torchvision:densenet121", "densenet121"),
    ("timm:densenet201", "densenet201"),
    ("torchvision:vgg16_bn", "vgg16"),
    ("torchvision:vgg11", "vgg11_no_norm"),
    ("timm:inception_resnet_v2/0.2", "inception_resnet_v2"),
]

REFUSED = [
    ("timm:resnetaa50", "ResNet.maxpool: AvgPool2d"),
    ("timm:resnetblur50", "ResNet.maxpool.0: MaxPool2d"),
    ("timm:ecaresnet26t", "ResNet.layer1.0.se: EcaModule is not Squeeze-and-Excitation"),
    ("timm:resnest14d", "ResNet.layer1.0: ResNestBottleneck"),
    ("timm:resnet50_gn", "ResNet.bn1: GroupNorm"),
    ("timm:skresnet18", "ResNet.layer1.0: SelectiveKernelBasic"),
    ("timm:mixnet_s", "EfficientNet.blocks.1.0.conv_pw: MixedConv2d"),
    ("timm:resnet61q", "ByobNet.stages.0.0: EdgeBlock"),
    ("timm:repvgg_a0", "ByobNet.stages.0.0: RepVggBlock"),
    ("timm:densenetblur121d", "DenseNet.features.pool0: Sequential"),
    ("timm:mobilenetv4_conv_small", "MobileNetV3.blocks.2.0: UniversalInvertedResidual"),
    ("timm:resnetv2_50x1_bit", "ResNetV2.stem.conv: StdConv2d"),
    ("torchvision:convnext_tiny", "convnext.ConvNeXt is of no family"),
]


def make(reference: str, num_classes: int = 7) -> nn.Module:
    """A library's own network; what follows a slash is the dropout that timm's is given."""
    library, _, name = reference.partition(":")
    name, _, dropout = name.partition("/")
    torch.manual_seed(0)
    if library == "torchvision":
        plain = {"aux_logits": False, "init_weights": False} if name in WITH_HEADS else {}
        return torchvision.models.get_model(name, weights=None, num_classes=num_classes, **plain)
    settings = {"drop_rate": float(dropout)} if dropout else {}
    return timm.create_model(name, num_classes=num_classes, **settings)


@torch.no_grad()
def stir(model: nn.Module) -> None:
    """Norms as training leaves them: a mapping that mixes any two of their tensors shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)


def without_randomness(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if "Drop" in type(module).__name__ or type(module).__name__ == "StochasticDepth":
            module.eval()
        if hasattr(module, "drop_rate"):  # timm calls the function
            module.drop_rate = 0.0
    return model


def assert_same(model: nn.Module, image_size: int = IMAGE_SIZE) -> nn.Module:
    """Import, and compare in float32 in both modes; the model itself stays as it was."""
    stir(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    network, _ = import_network(model, image_size)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    own, foreign = (sum(p.numel() for p in m.parameters()) for m in (network, model))
    assert own == foreign
    images = torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(3))
    for training in (False, True):
        with torch.no_grad(), disabled():  # fused, ours would round otherwise than theirs
            ours = without_randomness(network.train(training))(images)
            theirs = without_randomness(model.train(training))(images)
        scale = max(1.0, theirs.abs().max().item())
        assert (ours - theirs).abs().max().item() < 1e-5 * scale
    return network


@pytest.mark.parametrize("reference", VARIANTS)
def test_imported_networks_compute_the_same(reference):
    assert_same(make(reference))


def bottlenecks() -> nn.Module:
    """ResNeXt of one block a stage, a stem of three 3x3, halved first 1x1s, 3x3 projections."""
    return timm.models.resnet.ResNet(
        timm.models.resnet.Bottleneck,
        (1, 1, 1, 1),
        num_classes=7,
        cardinality=8,
        base_width=8,
        stem_width=8,
        stem_type="deep_tiered",
        replace_stem_pool=True,
        block_reduce_first=2,
        down_kernel_size=3,
        channels=(16, 32, 64, 128),
        drop_rate=0.3,
        block_args={"attn_layer": "se"},
    )


def preactivated() -> nn.Module:
    """Bottlenecks with pre-activation, the last of which averages before its projection."""
    model = timm.models.resnetv2.ResNetV2(
        (2, 1), (32, 64), num_classes=7, stem_chs=8, stem_type="deep", avg_down=True,
        conv_layer=timm.layers.create_conv2d, norm_layer=timm.layers.BatchNormAct2d,
    )  # fmt: skip
    assert isinstance(model.stages[1].blocks[0].downsample.pool, nn.AvgPool2d)
    return model


def fused() -> nn.Module:
    """EfficientNetV2's units: one that keeps its width, and of others one of each kind."""
    units = torchvision.models.efficientnet
    return units.EfficientNet(
        [
            units.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
            units.FusedMBConvConfig(4, 3, 2, 8, 16, 2),
            units.MBConvConfig(4, 3, 2, 16, 24, 2),
        ],
        0.2,
        num_classes=7,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3),
    )


def dense() -> nn.Module:
    """torchvision's."""
    return torchvision.models.DenseNet(8, (2, 1, 1), 16, bn_size=3, num_classes=7)


def timm_dense() -> nn.Module:
    """With a stem of three convolutions."""
    return timm.models.densenet.DenseNet(8, (2, 2), num_classes=7, stem_type="deep", drop_rate=0.2)


def timm_vgg() -> nn.Module:
    """Without norms, of few layers."""
    return timm.models.vgg.VGG(
        [8, "M", 8, "M", 8, "M", 16, 16, "M"], num_classes=7, mlp_ratio=0.01, drop_rate=0.5
    )


def inception_v3() -> nn.Module:
    """One module of each kind."""
    model = make("torchvision:inception_v3")
    for name in ("Mixed_5c", "Mixed_6c", "Mixed_6d"):
        delattr(model, name)
    model.Mixed_5d = torchvision.models.inception.InceptionA(256, 64)
    model._forward = partial(in_a_row, model)
    return model


def in_a_row(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, None]:
    *features, (_, pooling), (_, dropout), (_, classifier) = model.named_children()
    for _, module in features:
        x = module(x)
    return classifier(dropout(pooling(x)).flatten(1)), None


def inception_v4() -> nn.Module:
    """One module of each kind."""
    model = make("timm:inception_v4")
    kinds = {type(module): module for module in model.features[3:]}
    model.features = nn.Sequential(*model.features[:3], *kinds.values())
    return model


def inception() -> nn.Module:
    """One residual unit of each kind, and all that isn't residual."""
    model = make("timm:inception_resnet_v2")
    for name in ("repeat", "repeat_1", "repeat_2"):
        setattr(model, name, getattr(model, name)[:1])
    return model


@pytest.mark.parametrize(
    "build",
    [
        bottlenecks,
        preactivated,
        fused,
        dense,
        timm_dense,
        timm_vgg,
        inception_v3,
        inception_v4,
        inception,
    ],
)
def test_networks_put_together_from_a_familys_parts(build):
    torch.manual_seed(0)
    assert_same(build(), 91 if "inception" in build.__name__ else IMAGE_SIZE)


@pytest.mark.parametrize(("reference", "name"), PUBLISHED)
def test_the_architecture_read_is_the_published_one(reference, name):
    with torch.device("meta"):
        model = make(reference, 1000)
    assert read_network(model).architecture() == published(name)


@pytest.mark.parametrize(("reference", "problem"), REFUSED)
def test_what_is_not_expressible_is_named(reference, problem):
    with torch.device("meta"):
        model = make(reference)
    with pytest.raises(InputError, match=problem.replace(".", r"\.")):
        read_network(model)


def test_se_is_written_as_its_family_does_and_by_the_ratio_itself_elsewhere():
    def values(model):
        return {block.se for _, block in read_network(model).architecture().blocks() if block.se}

    with torch.device("meta"):
        assert values(make("timm:seresnet18")) == {SE(r=16, divisor=8)}
        assert values(make("timm:mobilenetv3_small_100")) == {
            SE(r=4, placement="conv3x3", excitation="hard_sigmoid", divisor=8)
        }
        model = timm.create_model("seresnet18", block_args={"attn_layer": OddSqueeze})
    assert values(model) == {SE(r=channels / 7) for channels in (64, 128, 256, 512)}


class OddSqueeze(timm.layers.SEModule):
    """A hidden width that is no part of the channels."""

    def __init__(self, channels, device=None, dtype=None):
        super().__init__(channels, rd_channels=7, device=device, dtype=dtype)


def test_names_say_where_each_weight_is_from():
    model = make("timm:mobilenetv3_small_050")
    network, _ = import_network(model)
    names, theirs = weight_names(model), model.state_dict()
    assert set(names) == set(network.state_dict())
    assert set(names.values()) == set(theirs)
    for ours, tensor in network.state_dict().items():
        assert torch.equal(tensor.flatten(), theirs[names[ours]].flatten()), ours
    assert names["stem.0.head.0.weight"] == "conv_stem.weight"


class Scaled(torchvision.models.ResNet):
    """Looks like a ResNet and isn't one."""

    def forward(self, x):
        return super().forward(2 * x)


def test_a_network_that_computes_something_else_is_not_imported():
    block = torchvision.models.resnet.BasicBlock
    with pytest.raises(RunError, match="something else in evaluation"):
        import_network(Scaled(block, [1, 1, 1, 1], num_classes=3))


def test_a_network_that_computes_something_else_on_large_maps_alone_is_not_imported():
    """timm's VGG slides its fully connected layers over maps that are larger than 7x7."""
    with pytest.raises(RunError, match="something else in evaluation at 144 pixels"):
        import_network(timm_vgg(), 144)


def test_heads_for_training_alone_are_left_out():
    model = torchvision.models.googlenet(weights=None, num_classes=7, init_weights=False)
    network, _ = import_network(model, 104)
    heads = sum(p.numel() for name in ("aux1", "aux2") for p in getattr(model, name).parameters())
    own, foreign = (sum(p.numel() for p in m.parameters()) for m in (network, model))
    assert own + heads == foreign
    assert model.aux1 is not None
    model.transform_input = True
    with pytest.raises(InputError, match="transform_input = True is not expressible"):
        read_network(model)


def test_other_inputs_than_three_channels_are_refused():
    with pytest.raises(InputError, match="takes 1 channels, ours take 3"):
        read_network(timm.create_model("lcnet_035", in_chans=1))
