"""The end of a small space: every candidate once, whatever the order."""

import numpy as np
import pytest

from search_space import SearchSpace
from search_space.problems import conditional
from strategies.core.unseen import Unseen, all_candidates


@pytest.mark.parametrize(
    "space",
    [conditional(stages=1).space, SearchSpace.from_choices({"a": [1], "b": [1, 2], "c": [1, 2]})],
)
def test_all_candidates_are_listed_once_in_order(space):
    listed = list(all_candidates(space))
    assert listed == sorted(set(listed))
    assert len(listed) == space.size()
    assert all(space.normalise(candidate) == candidate for candidate in listed)


def test_each_is_found_once_from_any_start():
    space = SearchSpace.from_choices({name: range(10) for name in "abc"})
    rng = np.random.default_rng(0)
    taken = set()
    unseen = Unseen(space, lambda candidate: candidate not in taken)
    while (found := unseen.first_from(space.sample(rng))) is not None:
        assert found not in taken
        taken.add(found)
    assert len(taken) == 1000


def test_what_is_found_does_not_depend_on_earlier_questions():
    space = SearchSpace.from_choices({name: range(10) for name in "abc"})
    taken = set(list(all_candidates(space))[200:700])

    def is_free(candidate):
        return candidate not in taken

    old = Unseen(space, is_free)
    for start in [(2, 0, 0), (6, 9, 9), (9, 9, 9)]:
        assert old.first_from(start) == Unseen(space, is_free).first_from(start)
        taken.update([(7, 0, 0), (9, 9, 9)])
    assert old.first_from((9, 9, 9)) == (0, 0, 0)
