"""Architectures are values: equal by content, JSON out and in without loss."""

import json
from dataclasses import FrozenInstanceError

import pytest
from drawn import architectures, ses
from hypothesis import given

from search_space import SE, Architecture, Block, Head, InputError, Stage
from search_space.values import round_channels, se_from_data, se_to_data


@given(architectures)
def test_json_brings_an_equal_architecture_back(architecture):
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.to_json() == architecture.to_json()
    assert Architecture.from_json(architecture.to_json(indent=2)) == architecture


@given(ses)
def test_an_se_comes_back_from_its_data(se):
    assert se_from_data("se", json.loads(json.dumps(se_to_data(se)))) == se


@given(architectures)
def test_paths_of_blocks_are_distinct_and_complete(architecture):
    paths = [path for path, _ in architecture.blocks()]
    rows = [architecture.stem, *architecture.stages, architecture.head]
    assert len(set(paths)) == len(paths) == sum(len(row.blocks) for row in rows)


def test_equal_architectures_have_equal_text():
    whole, real = (Stage((Block("basic", 8, expansion=x, se=SE(r=x)),)) for x in (4, 4.0))
    assert Architecture(whole, ()) == Architecture(real, ())
    assert Architecture(whole, ()).to_json() == Architecture(real, ()).to_json()


def test_the_order_of_extra_settings_does_not_count():
    one, other = (("a", 1), ("b", 2)), (("b", 2), ("a", 1))
    assert Block("basic", 8, extra=one) == Block("basic", 8, extra=other)


def test_values_are_frozen():
    with pytest.raises(FrozenInstanceError):
        SE().r = 4


@pytest.mark.parametrize(
    ("channels", "divisor", "rounded"),
    [(4, 1, 4), (4.4, 1, 4), (0.2, 1, 1), (30, 8, 32), (11, 8, 16), (3, 8, 8), (17, 8, 16)],
)
def test_channels_are_rounded_without_losing_a_tenth(channels, divisor, rounded):
    assert round_channels(channels, divisor) == rounded


def test_the_hidden_width_divides_the_named_base():
    assert SE(r=16).hidden_channels(256, input_channels=64) == 16
    assert SE(r=4, base="input").hidden_channels(96, input_channels=16) == 4
    assert SE(r=4, divisor=8).hidden_channels(72, input_channels=24) == 24


def test_a_label_says_what_differs_from_the_paper():
    assert SE().label() == "r16"
    assert SE(r=8, placement="pre", squeeze="max").label() == "r8/pre/max"
    assert SE(r=2.5, divisor=8, bias=False).label() == "r2.5/divisor=8/bias=False"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: SE(r=0.5), "se.r must be a number of at least 1, not 0.5"),
        (lambda: SE(r=True), "se.r must be a number"),
        (lambda: SE(r=float("nan")), "se.r must be a number"),
        (lambda: SE(placement="presents"), "se.placement.*allowed: standard, pre, post"),
        (lambda: SE(squeeze="mean"), "se.squeeze 'mean'.*allowed: avg, max, none"),
        (lambda: SE(excitation="sigmoyd"), "did you mean 'sigmoid'"),
        (lambda: SE(bias=1), "se.bias must be true or false"),
        (lambda: Block("basic", 0), "block.channels must be a whole number of at least 1, not 0"),
        (lambda: Block("basic", 8.0), "block.channels must be a whole number"),
        (lambda: Block("basic", 8, kernel=4), "block.kernel must be odd, not 4"),
        (lambda: Block("basic", 8, se="r16"), "block.se must be an SE or None"),
        (lambda: Block(3, 8), "block.cell must be a name"),
        (lambda: Block("basic", 8, extra=(("stride", 2),)), "'stride' is a setting of every"),
        (lambda: Block("basic", 8, extra=(("a", 1), ("a", 2))), "names 'a' twice"),
        (lambda: Block("basic", 8, extra=(("a", [1]),)), "block.a must be a string, number"),
        (lambda: Head(dropout=1.0), "head.dropout must be below 1"),
    ],
)
def test_mistakes_are_named_with_what_is_allowed(mistake, message):
    with pytest.raises(InputError, match=message) as error:
        mistake()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "architecture must be an object"),
        ('{"stem": []}', "architecture: the key 'stages' is missing"),
        ('{"stem": [], "stages": [], "heads": {}}', "'heads'.*did you mean 'head'.*allowed: head"),
        ('{"stem": [], "stages": {}}', "stages must be a list"),
        ('{"stem": [], "stages": [[{"cell": "a"}]]}', r"stages.0.0: the key 'channels'"),
        (
            '{"stem": [{"cell": "a", "channels": 8, "se": {"rr": 1}}], "stages": []}',
            "stem.0.se.*rr",
        ),
        ('{"stem": [{"cell": "a", "channels": 8, "x": []}], "stages": []}', "stem.0.*x must be"),
        ('{"stem": [], "stages": [], "head": {"dropout": 2}}', "head.dropout must be below 1"),
        ('{"stem": [{"cell": "a", "channels": 8, "kernel": 2}], "stages": []}', "stem.0.*kernel"),
    ],
)
def test_damaged_json_is_refused_with_the_place(text, message):
    with pytest.raises(InputError, match=message):
        Architecture.from_json(text)
