"""The decision for SE at one place."""

import itertools

import pytest

from search_space import SE, load
from search_space.staged import se_decision
from search_space.values import EXCITATIONS, SQUEEZES

FIELDS = {
    "r": (4, 8),
    "placement": ("pre", "post"),
    "squeeze": ("avg", "none"),
    "excitation": ("tanh", "relu"),
    "base": ("own", "input"),
    "divisor": (1, 8),
    "bias": (True, False),
    "activation": ("relu", "silu"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_one_value_or_a_choice(field):
    one, other = FIELDS[field]
    assert se_decision(**{field: other}).options == (None, SE(**{field: other}))
    for options in ([one, other], (one, other)):
        decision = se_decision(**{field: options})
        assert decision.options == (None, SE(**{field: one}), SE(**{field: other}))
        assert decision.weights == (2.0, 1.0, 1.0)


def test_options_are_all_combinations_with_the_last_field_changing_first():
    product = itertools.product(*FIELDS.values())
    assert se_decision(**FIELDS).options == (None, *(SE(*values) for values in product))


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("cifar_mobile", "6d6c76448f7d1054"),
        ("cifar_residual", "6e2aacd23b97366b"),
        ("cifar_tiny", "3d2c156cc69d531c"),
        ("imagenet_mobile", "b3779e977855f66f"),
        ("imagenet_residual", "8d38d65490720989"),
    ],
)
def test_recorded_runs_of_a_space_stay_readable(name, fingerprint):
    assert load(name).fingerprint() == fingerprint


def test_a_space_offers_every_squeeze_and_the_papers_excitations():
    offered = {
        option
        for decision in load("imagenet_residual").decisions
        for option in decision.options
        if isinstance(option, SE)
    }
    assert {se.squeeze for se in offered} == set(SQUEEZES)
    assert {se.excitation for se in offered} == set(EXCITATIONS) - {"hard_sigmoid"}
