"""What every search space promises, whatever its decisions and conditions."""

import itertools
import math

import numpy as np
import pytest
from drawn import generators, spaces
from hypothesis import assume, given

from search_space import SE, Decision, InputError, SearchSpace


def every_candidate(space):
    numbers = itertools.product(*(range(len(d.options)) for d in space.decisions))
    return {space.normalise(chosen) for chosen in numbers}


DEPTH = SearchSpace(
    "depth",
    (
        Decision("depth", (1, 2)),
        Decision("se1", (None, SE())),
        Decision("se2", (None, SE()), when={"depth": [2]}),
        Decision("extra", ("a", "b", "c"), when={"se2": [SE()]}),
    ),
)


@given(spaces())
def test_size_is_the_number_of_distinct_candidates(space):
    assert space.size() == len(every_candidate(space))


def test_what_depends_on_a_decision_that_does_not_count_does_not_count_either():
    space = SearchSpace(
        "chain",
        (
            Decision("depth", (1, 2)),
            Decision("kernel", (3, 5), when={"depth": [2]}),
            Decision("dilation", (1, 2), when={"kernel": [3]}),
        ),
    )
    # At depth 1 the kernel stands at its first option, but isn't there.
    assert space.choices((0, 0, 0)) == {"depth": 1}
    assert space.normalise((0, 1, 1)) == space.normalise((0, 0, 1)) == (0, 0, 0)
    assert space.choices((1, 0, 1)) == {"depth": 2, "kernel": 3, "dilation": 2}
    assert space.size() == 1 + 2 + 1


def test_size_of_a_known_space():
    # Depth 1: se1. Depth 2: se1 times (se2 absent, or present with three options).
    assert DEPTH.size() == 2 + 2 * (1 + 3)


@given(spaces(), generators)
def test_a_sample_is_normalised_and_normalising_changes_nothing_more(space, rng):
    candidate = space.sample(rng)
    assert space.normalise(candidate) == candidate
    assert all(
        number == 0 or space.is_active(candidate, position)
        for position, number in enumerate(candidate)
    )


@given(spaces(), generators)
def test_every_arrangement_of_choices_comes_back(space, rng):
    candidate = space.sample(rng)
    choices = space.choices(candidate)
    assert space.candidate(choices) == candidate
    assert space.build(candidate) == choices


@given(spaces(), generators)
def test_a_mutation_is_another_valid_candidate(space, rng):
    candidate = space.sample(rng)
    mutated = space.mutate(candidate, rng)
    assert space.normalise(mutated) == mutated
    if space.neighbours(candidate):
        assert mutated != candidate
        changed = [p for p, (a, b) in enumerate(zip(candidate, mutated, strict=True)) if a != b]
        # One decision was changed; all later changes are what it switched on or off.
        assert space.is_active(candidate, changed[0])
        assert space.is_active(mutated, changed[0])
        for position in changed[1:]:
            both = space.is_active(candidate, position) and space.is_active(mutated, position)
            assert not both
    else:
        assert mutated == candidate


@given(spaces(), generators)
def test_a_child_takes_each_decision_from_a_parent_unless_it_is_newly_active(space, rng):
    first, second = space.sample(rng), space.sample(rng)
    child = space.crossover(first, second, rng)
    assert space.normalise(child) == child
    for position, number in enumerate(child):
        inherited = {p[position] for p in (first, second) if space.is_active(p, position)}
        if inherited and space.is_active(child, position):
            assert number in inherited
    if first == second:
        assert child == first


@given(spaces(conditional=False), generators)
def test_neighbours_without_conditions_are_symmetric_and_complete(space, rng):
    candidate = space.sample(rng)
    neighbours = space.neighbours(candidate)
    assert len(set(neighbours)) == sum(len(d.options) - 1 for d in space.decisions)
    assert all(candidate in space.neighbours(neighbour) for neighbour in neighbours)


@given(spaces(), generators)
def test_neighbours_are_distinct_valid_candidates(space, rng):
    candidate = space.sample(rng)
    neighbours = space.neighbours(candidate)
    assert len({candidate, *neighbours}) == 1 + len(neighbours)
    assert all(space.normalise(neighbour) == neighbour for neighbour in neighbours)


@given(spaces())
def test_different_candidates_have_different_encodings(space):
    candidates = every_candidate(space)
    codes = {space.encode(candidate).tobytes() for candidate in candidates}
    assert len(codes) == len(candidates)
    assert len(space.encode(min(candidates))) == sum(len(d.options) for d in space.decisions)


@given(spaces(), generators)
def test_sampling_depends_on_the_generator_alone(space, rng):
    assume(space.size() > 1)
    seed = int(rng.integers(2**32))
    first, second = (np.random.default_rng(seed) for _ in range(2))
    assert [space.sample(first) for _ in range(5)] == [space.sample(second) for _ in range(5)]


def test_options_are_drawn_by_their_weights():
    space = SearchSpace("weighted", (Decision("a", (0, 1, 2), weights=(6, 3, 1)),))
    rng = np.random.default_rng(0)
    counts = np.bincount([space.sample(rng)[0] for _ in range(4000)], minlength=3)
    assert counts / 4000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    moves = np.bincount([space.mutate((0,), rng)[0] for _ in range(4000)], minlength=3)
    assert moves / 4000 == pytest.approx([0, 0.75, 0.25], abs=0.03)


def test_a_mutation_ends_where_one_option_has_nearly_all_weight():
    space = SearchSpace("lopsided", (Decision("a", (0, 1), weights=(1.0, 1e-300)),))
    assert space.mutate((0,), np.random.default_rng(0)) == (1,)


def test_the_size_of_a_large_space_is_exact():
    assert SearchSpace.from_choices({f"d{n}": range(7) for n in range(60)}).size() == 7**60
    assert math.log10(7**60) > 50


def test_true_and_one_are_two_options():
    space = SearchSpace.from_choices({"a": [1, True, 0, False]})
    assert [space.candidate({"a": option}) for option in (1, True, False)] == [(0,), (1,), (3,)]


def test_a_fingerprint_tells_spaces_apart():
    same = SearchSpace("another_name", DEPTH.decisions)
    other = SearchSpace("depth", DEPTH.decisions[:3])
    assert same.fingerprint() == DEPTH.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: DEPTH.candidate({"dept": 1}), "'dept'.*did you mean 'depth'.*allowed: depth, se1"),
        (lambda: DEPTH.candidate({"depth": 3}), "depth: 3 .*allowed: 1, 2"),
        (lambda: DEPTH.candidate({"se1": SE(r=2)}), "se1.*allowed: none, r16"),
        (lambda: DEPTH.candidate({"depth": [1]}), "depth.*allowed: 1, 2"),
        (lambda: DEPTH.normalise((0, 0)), "has 4 decisions, not 2"),
        (lambda: DEPTH.normalise((0, 2, 0, 0)), "se1: option 2 is not within 0..1"),
        (lambda: DEPTH.normalise((-1, 0, 0, 0)), "depth: option -1"),
        (lambda: SearchSpace("empty", ()), "'empty' has no decisions"),
        (lambda: Decision("a", ()), "'a' has no options"),
        (lambda: Decision("a", (1, 1)), "'a' lists an option twice"),
        (lambda: Decision("a", ([1],)), "'a': options must be hashable"),
        (lambda: Decision("a", (1, 2), weights=(1.0,)), "'a' needs one positive weight"),
        (lambda: Decision("a", (1, 2), weights=(1.0, 0.0)), "'a' needs one positive weight"),
        (
            lambda: SearchSpace("two", (Decision("a", (1,)), Decision("a", (2,)))),
            "two decisions named 'a'",
        ),
        (
            lambda: SearchSpace("s", (Decision("a", (1,), when={"b": [1]}), Decision("b", (1,)))),
            "'a' depends on 'b', which must stand before",
        ),
        (
            lambda: SearchSpace("s", (Decision("a", (1,)), Decision("b", (1,), when={"a": [2]}))),
            "a: 2 .*allowed: 1",
        ),
    ],
)
def test_mistakes_are_named_with_what_is_allowed(mistake, message):
    with pytest.raises(InputError, match=message) as error:
        mistake()
    assert "\n" not in str(error.value)
