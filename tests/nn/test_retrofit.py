"""SE put into other people's networks: places found, the function kept, everything learns."""

import copy
import io
from functools import cache, partial

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from retrofit_families import FAMILIES, Family
from torch import nn

from search_space import SE, InputError, Retrofit
from senet_nas.cost import Cost, trace
from senet_nas.nn import SqueezeExcitation
from senet_nas.nn.retrofit import find_places, retrofit, retrofit_space

IMAGES = torch.rand(2, 3, 32, 32)


class Residual(nn.Module):
    """Functional activations and a parameter that scales, as people write them."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.5))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.dropout(self.norm2(self.conv2(y)), 0.1, self.training)
        return F.relu(x + self.scale * y)


class Own(nn.Module):
    """A network of a user's own: stem, two residual blocks, a plain convolution."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, padding=1)
        self.first, self.second = Residual(24), Residual(24)
        self.wide = nn.Conv2d(24, 40, 3, padding=1)
        self.fc = nn.Linear(40, 5)

    def forward(self, images, features=None):
        x = F.relu(self.stem(images))
        if features is not None:
            x = x + features
        x = F.avg_pool2d(self.second(self.first(x)), 2)
        x = F.avg_pool2d(F.relu(self.wide(x)), 16)
        return self.fc(x.flatten(1))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.norm(self.conv(x))
        return x * 2 if x.mean() > 0 else x


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 3, 3), nn.Sequential(Branching(), nn.ReLU())

    def forward(self, x):
        return self.body(self.stem(x)).mean((2, 3))


class Looping(nn.Module):
    """Runs all that it holds."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


def awake(model: nn.Module) -> nn.Module:
    """Without scales that start at zero, behind which nothing could learn."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1 or not parameter.any():
                parameter.uniform_(0.5, 1.5).mul_(1 if parameter.dim() == 1 else 0.05)
    return model


@cache
def model_of(family: Family) -> nn.Module:
    return awake(family.build())


@cache
def places_of(family: Family):
    size = family.image_size
    return find_places(model_of(family), torch.rand(2, 3, size, size))


def gates(model: nn.Module) -> dict[str, SqueezeExcitation]:
    found = model.named_modules()
    return {name: module for name, module in found if isinstance(module, SqueezeExcitation)}


def output(model: nn.Module, images: torch.Tensor, train: bool) -> torch.Tensor:
    torch.manual_seed(7)  # dropout, depth
    return model.train(train)(images)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_finds_the_places_of_each_family(family):
    found = {}
    for place in places_of(family):
        found.setdefault(place.kind, set()).add(place.name)
    expected = family.expected(model_of(family))
    assert all(expected.values())
    assert found == expected


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_keeps_the_function_and_every_gate_learns(family):
    model, places = model_of(family), places_of(family)
    torch.manual_seed(1)
    images = torch.rand(3, 3, family.image_size, family.image_size)
    new = retrofit(model, {place.name: SE(r=16) for place in places})
    assert len(gates(new)) == len(places)
    with torch.no_grad():
        assert torch.equal(output(model, images, False), output(new, images, False))
        expected = output(copy.deepcopy(model), images, True)
    logits = output(new, images, True)
    assert torch.equal(logits, expected)
    (logits * torch.randn_like(logits)).sum().backward()
    for place, gate in gates(new).items():
        for name, parameter in gate.named_parameters():
            assert parameter.grad.abs().sum() > 0, (place, name)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0"])
def test_keeps_the_function_in_bfloat16_with_channels_last(name):
    torch.manual_seed(0)
    model = awake(torchvision.models.get_model(name, num_classes=10)).to(torch.bfloat16)
    images = torch.rand(3, 3, 64, 64, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    new = retrofit(model, {place.name: SE(4) for place in find_places(model, images)})
    for train in (False, True):
        expected = output(copy.deepcopy(model), images, train)
        assert torch.equal(output(new, images, train), expected)


def test_places_have_the_shapes_of_their_outputs_in_the_order_in_which_they_run():
    places = find_places(torchvision.models.resnet18(), torch.rand(1, 3, 64, 96), "branch")
    assert [place.name for place in places] == [
        f"layer{stage}.{block}.bn2" for stage in (1, 2, 3, 4) for block in (0, 1)
    ]
    assert [(p.channels, p.height, p.width) for p in places[::2]] == [
        (64, 16, 24),
        (128, 8, 12),
        (256, 4, 6),
        (512, 2, 3),
    ]


def test_a_network_of_ones_own():
    places = find_places(Own(), IMAGES)
    assert [(place.name, place.kind) for place in places] == [
        ("first.norm2", "branch"),
        ("first", "block"),
        ("second.norm2", "branch"),
        ("second", "block"),
    ]


def test_without_blocks_each_convolution_is_a_place():
    plain = nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.SiLU(),
        nn.Conv2d(16, 16, 3, groups=16),
        nn.ReLU(),
        nn.Conv2d(16, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(8, 5, 1),  # a classifier, on no map
        nn.Flatten(),
    )
    assert [(place.name, place.kind) for place in find_places(plain, IMAGES)] == [
        ("2", "block"),
        ("4", "block"),
        ("5", "block"),
    ]
    assert [place.name for place in find_places(plain, IMAGES, "depthwise")] == ["4"]


def test_names_and_patterns_give_places():
    model = torchvision.models.resnet18()
    places = find_places(model, IMAGES, ["layer[12].*.bn1", "block", "layer1.0.bn1", "layer4"])
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    assert [place.name for place in places if place.kind == "block"] == blocks
    assert [place.name for place in places if place.kind == "named"] == [
        *(f"{block}.bn1" for block in blocks[:4]),
        "layer4",
    ]
    new = retrofit(model, {place.name: SE(8) for place in places})
    assert len(gates(new)) == len(places)
    assert torch.equal(output(new, IMAGES, False), output(model, IMAGES, False))


def test_an_untraceable_model_is_told_where_and_how_to_go_on():
    model = Dynamic()
    with pytest.raises(InputError) as error:
        find_places(model, IMAGES)
    message = str(error.value)
    assert "module 'body.0' (class Branching)" in message
    assert "control flow" in message
    assert "where=['body.0.norm']" in message
    assert "\n" not in message
    (place,) = find_places(model, IMAGES, ["body.0.norm"])
    assert (place.kind, place.channels) == ("named", 8)
    new = retrofit(model, {place.name: SE(4)})
    assert torch.equal(output(new, IMAGES, False), output(model, IMAGES, False))


def test_control_flow_of_the_model_itself_is_told_as_such():
    with pytest.raises(InputError, match="in the forward of class Branching itself: its control"):
        find_places(Branching(), IMAGES)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("layer1.*.bn3", "module or pattern 'layer1.\\*.bn3' is not known"),
        ("layer1.0.relu", "module 'layer1.0.relu': it is called 2 times"),
        ("fc", r"'fc': it yields a tensor of shape \(2, 1000\), not \(N, C, H, W\)"),
        ([], "where must list kinds or names"),
        ([3], "where must list kinds or names"),
    ],
)
def test_names_without_a_place_are_refused(where, message):
    with pytest.raises(InputError, match=message):
        find_places(torchvision.models.resnet18(), IMAGES, where)


def test_a_module_that_loops_over_its_children_is_no_place():
    model = nn.Sequential(Looping(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_places(model, IMAGES, "block") == ()
    with pytest.raises(InputError, match="'0': it runs through all that it holds"):
        find_places(model, IMAGES, ["0"])
    assert [place.name for place in find_places(model, IMAGES, ["0.two"])] == ["0.two"]


def test_an_example_that_does_not_fit_is_told():
    with pytest.raises(InputError, match="does not run on the example input"):
        find_places(Own(), torch.rand(1, 4, 32, 32))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("resnet50", "must be a torch.nn.Module, not str"),
        (torch.jit.trace(nn.Conv2d(3, 4, 3), IMAGES), "is a TorchScript program"),
    ],
)
def test_what_is_no_module_is_refused(model, message):
    with pytest.raises(InputError, match=message):
        find_places(model, IMAGES)


def test_the_model_stays_as_it_was():
    model = Own()
    model.first.eval()
    model.wide.weight.requires_grad_(False)
    before, state = repr(model), copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    generator = torch.get_rng_state()
    places = find_places(model, IMAGES)
    assert torch.equal(torch.get_rng_state(), generator)
    new = retrofit(model, {place.name: SE(4) for place in places})
    new(IMAGES).sum().backward()
    assert repr(model) == before
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert not new.first.added_se.training
    assert new.wide.weight.grad is None


def test_the_new_model_keeps_class_and_names():
    model = Own()
    new = retrofit(model, {"first": SE(4), "second.norm2": SE(8), "second": None})
    assert type(new) is Own
    own, all_names = set(model.state_dict()), set(new.state_dict())
    assert own < all_names
    added = all_names - own
    assert {name.partition(".added_se.")[0] for name in added} == {"first", "second.norm2"}
    missing, unexpected = new.load_state_dict(model.state_dict(), strict=False)
    assert (set(missing), unexpected) == (added, [])


def test_new_weights_follow_the_module():
    model = Own().to(torch.bfloat16)
    model.first.float()
    new = retrofit(model, {"first.norm2": SE(4), "second.norm2": SE(4)})
    assert new.first.norm2.added_se.reduce.weight.dtype == torch.float32
    assert new.second.norm2.added_se.reduce.weight.dtype == torch.bfloat16
    assert retrofit(model.to("meta"), {"wide": SE(4)}).wide.added_se.expand.bias.is_meta


def test_more_se_can_follow_but_not_twice_at_a_place():
    once = retrofit(Own(), {"first.norm2": SE(4)})
    again = find_places(once, IMAGES)
    assert [place.name for place in again] == ["first", "second.norm2", "second"]
    twice = retrofit(once, {place.name: SE(4) for place in again})
    assert torch.equal(output(twice, IMAGES, False), output(once, IMAGES, False))
    with pytest.raises(InputError, match=r"se.first.norm2: .* has an 'added_se' already"):
        retrofit(once, {"first.norm2": SE(8)})


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"first.norm": SE()}, "se: the place 'first.norm' is not known; did you mean"),
        ({"": SE()}, "a place is the name of a module"),
        ({"fc": SE()}, "se.fc: no SE can follow this module: it yields its channels last"),
        ({"first": SE(base="input")}, "se.first.base 'input'.*allowed: own"),
        ({"first": SE(placement="pre")}, "se.first.placement 'pre'.*allowed: standard, post"),
        ({"first": 16}, "se.first must be an SE, not 16"),
    ],
)
def test_choices_that_mean_nothing_are_refused(choices, message):
    with pytest.raises(InputError, match=message):
        retrofit(Own(), choices)


def moved_gates(model: nn.Module) -> nn.Module:
    """As training would leave them: off one."""
    with torch.no_grad():
        for gate in gates(model).values():
            gate.expand.weight.normal_(std=0.3)
            gate.expand.bias.normal_(std=0.3)
    return model.eval()


def test_a_gate_acts_on_the_output_of_its_place():
    model = Own().eval()
    new = moved_gates(retrofit(model, {"first.norm2": SE(4, squeeze="max", excitation="tanh")}))
    seen = {}
    for key, network in (("before", model), ("after", new)):
        note = partial(lambda key, module, inputs, y: seen.update({key: y}), key)
        network.first.norm2.register_forward_hook(note)
        network(IMAGES)
    gated = new.first.norm2.added_se(seen["before"])
    assert not torch.allclose(gated, seen["before"], atol=1e-2)
    assert torch.equal(seen["after"], gated)


def test_copies_and_pickles_are_whole():
    model = torchvision.models.resnet18(num_classes=10)
    places = find_places(model, IMAGES, ["branch", "block", "layer3"])
    new = moved_gates(retrofit(model, {place.name: SE(8) for place in places}))
    expected = new(IMAGES)
    copied = copy.deepcopy(new)
    file = io.BytesIO()
    torch.save(new, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(copied(IMAGES), expected)
    assert torch.equal(loaded(IMAGES), expected)
    with torch.no_grad():
        for gate in gates(copied).values():
            gate.expand.bias.fill_(9)
    assert not torch.allclose(copied(IMAGES), expected)
    assert torch.equal(new(IMAGES), expected)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "own"])
def test_exports_by_torch(name):
    model = Own() if name == "own" else timm.create_model(name, num_classes=10)
    places = find_places(model, IMAGES)
    new = moved_gates(retrofit(model, {place.name: SE(8) for place in places}))
    batch = {0: torch.export.Dim("batch")}
    shapes = (batch, None) if name == "own" else (batch,)
    arguments = (IMAGES, None) if name == "own" else (IMAGES,)
    program = torch.export.export(new, arguments, dynamic_shapes=shapes)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(program.module()(images, *arguments[1:]), new(images))


def test_exports_to_onnx():
    import onnxruntime

    model = timm.create_model("test_resnet", num_classes=10)
    places = find_places(model, IMAGES)
    new = moved_gates(retrofit(model, {place.name: SE(8) for place in places}))
    program = torch.onnx.export(new, (IMAGES,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (theirs,) = session.run(None, {session.get_inputs()[0].name: IMAGES.numpy()})
    torch.testing.assert_close(torch.from_numpy(theirs), new(IMAGES), atol=1e-4, rtol=1e-4)


def test_the_space_has_a_decision_a_place_and_builds_what_retrofit_takes():
    model = Own()
    space = retrofit_space(model, IMAGES, source="mine:own")
    assert [d.name for d in space.decisions] == [p.name for p in find_places(model, IMAGES)]
    assert space.size() == 4**4
    assert space.image_size == 32
    chosen = space.build(space.candidate({"first": space.decisions[1].options[2]}))
    assert chosen == Retrofit("mine:own", (("first", SE(8)),))
    assert list(gates(retrofit(model, chosen))) == ["first.added_se"]
    assert not gates(retrofit(model, space.build(space.candidate({}))))


def test_options_of_equal_hidden_width_are_one_network():
    space = retrofit_space(Own(), IMAGES, [None, SE(8), SE(12), SE(4)], "branch")
    same = [space.candidate({"first.norm2": SE(r)}) for r in (8, 12, 4)]
    keys = [space.key(candidate) for candidate in same]  # of 24 channels: 4, 4, 8
    assert keys[0] == keys[1] != keys[2]
    other = space.key(space.candidate({"second.norm2": SE(8)}))
    assert len({*keys, other, space.key(space.candidate({}))}) == 4


def test_a_space_needs_places_and_options():
    with pytest.raises(InputError, match="no place for SE"):
        retrofit_space(nn.Linear(4, 4), torch.rand(2, 4))
    with pytest.raises(InputError, match="at least one SE"):
        retrofit_space(Own(), IMAGES, [None])
    with pytest.raises(InputError, match=r"se\.base 'input'"):
        retrofit_space(Own(), IMAGES, [SE(base="input")])


def test_costs_add_up_to_that_of_the_new_network():
    model = Own()
    places = find_places(model, IMAGES)
    new = retrofit(model, {place.name: SE(8, divisor=4, neutral=True) for place in places})
    total = trace(copy.deepcopy(model).to("meta"), (3, 32, 32))[0]
    for place in places:
        with torch.device("meta"):
            gate = SqueezeExcitation(place.channels, SE(8, divisor=4, neutral=True))
        total += trace(gate, (place.channels, place.height, place.width))[0]
    assert isinstance(total, Cost)
    assert trace(new.to("meta"), (3, 32, 32))[0] == total
