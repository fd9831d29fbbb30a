"""A retrofit is a value: equal by what it means, JSON out and in without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space import SE, InputError, Retrofit
from search_space.retrofit import neutral_gate
from search_space.values import EXCITATIONS, SQUEEZES

gate_values = st.builds(
    SE,
    r=st.integers(1, 64) | st.floats(1, 64),
    placement=st.sampled_from(["standard", "post"]),
    squeeze=st.sampled_from(SQUEEZES),
    excitation=st.sampled_from(EXCITATIONS),
    divisor=st.integers(1, 16),
    bias=st.booleans(),
)
choices = st.dictionaries(st.text(min_size=1, max_size=6), gate_values, max_size=4)


@given(choices, st.text(max_size=5))
def test_json_brings_an_equal_value_back(chosen, source):
    value = Retrofit.of(chosen, source)
    again = Retrofit.from_json(value.to_json())
    assert again == value
    assert hash(again) == hash(value)
    assert again.key() == value.key()


@given(choices)
def test_the_order_of_places_does_not_count(chosen):
    turned = dict(reversed(chosen.items()))
    assert Retrofit.of(chosen) == Retrofit.of(turned)


@given(gate_values, st.integers(1, 2048))
def test_hidden_units_come_in_fours(se, channels):
    hidden = neutral_gate(se).hidden_channels(channels, channels)
    assert hidden % 4 == 0
    assert hidden >= 0.9 * channels / se.r


def test_no_se_at_a_place_is_the_place_left_out():
    assert Retrofit.of({"a": None, "b": SE(4)}) == Retrofit.of({"b": SE(4)})


def test_with_widths_only_the_hidden_width_counts():
    one, other = (Retrofit.of({"a": SE(r)}) for r in (8, 16))
    assert one.key() != other.key()
    assert one.key({"a": 32}) == other.key({"a": 32})
    assert one.key({"a": 256}) != other.key({"a": 256})
    assert one.key({"a": 32}) != Retrofit.of({"b": SE(8)}).key({"b": 32})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "retrofit must be an object"),
        ('{"se": {}}', "the key 'retrofit' is missing"),
        ('{"retrofit": 3, "se": {}}', "retrofit must be a name, not 3"),
        ('{"retrofit": "", "se": []}', "se must be an object"),
        ('{"retrofit": "", "se": {"a": {"rr": 4}}}', "se.a: key 'rr' is not known"),
        ('{"retrofit": "", "se": {"a": {"r": 0}}}', "se.r must be a number"),
        ('{"retrofit": "", "se": {"a": {"placement": "pre"}}}', "se.a.placement 'pre'"),
        ('{"retrofit": "", "se": {"": {}}}', "a place is the name of a module"),
    ],
)
def test_damaged_json_is_refused_with_the_place(text, message):
    with pytest.raises(InputError, match=message):
        Retrofit.from_json(text)
