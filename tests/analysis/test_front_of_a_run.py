"""The front of a run: what is on it, its hypervolume and its knee, for any scores."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from search_space import InputError
from senet_nas.analysis import front_of
from senet_nas.search import TrialRecord

GOALS = {"accuracy": "max", "macs": "min", "params": "min"}


def record(number, scores):
    reason = "its worker died" if scores is None else None
    return TrialRecord(number, (number,), f"hash{number}", scores, reason)


def records_of(rows, names=("accuracy", "macs")):
    return [record(n, dict(zip(names, row, strict=True))) for n, row in enumerate(rows)]


def losses_of(records, objectives):
    sign = {"max": -1, "min": 1}
    return np.array([[sign[w] * r.scores[n] for n, w in objectives.items()] for r in records])


# Few distinct values, so that ties in one, some or all scores are common.
values = st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6, allow_subnormal=False)
rows = st.lists(st.tuples(values, values, values), min_size=1, max_size=12)
directions = st.lists(
    st.tuples(st.sampled_from(list(GOALS)), st.sampled_from(["max", "min"])),
    min_size=1,
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(dict)


@settings(max_examples=100, deadline=None)
@given(rows=rows, objectives=directions)
def test_it_is_what_nothing_dominates(rows, objectives):
    records = records_of(rows, tuple(GOALS))
    front = front_of(records, objectives)
    losses = losses_of(records, objectives)
    chosen = [point.number for point in front.points]

    def dominates(a, b):
        return (a <= b).all() and (a < b).any()

    free = [b for b in range(len(rows)) if not any(dominates(a, losses[b]) for a in losses)]
    first = NonDominatedSorting().do(losses, only_non_dominated_front=True)
    assert set(free) == set(first.tolist())
    assert {tuple(losses[n]) for n in chosen} == {tuple(losses[n]) for n in free}
    assert len(chosen) == len({tuple(losses[n]) for n in free})  # of equals, one stands


@settings(max_examples=100, deadline=None)
@given(rows=rows, objectives=directions)
def test_its_hypervolume_is_that_of_all_trials(rows, objectives):
    records = records_of(rows, tuple(GOALS))
    front = front_of(records, objectives)
    losses = losses_of(records, objectives)
    reference = losses.max(axis=0)
    for (name, way), worst in zip(objectives.items(), reference, strict=True):
        assert front.reference[name] == (-worst if way == "max" else worst)
    expected = HV(ref_point=reference)(losses)
    extent = np.prod(reference - losses.min(axis=0))
    assert front.hypervolume == pytest.approx(expected, rel=1e-6, abs=1e-9 * extent + 1e-300)


def test_its_hypervolume_in_the_objectives_own_units():
    records = records_of([(50, 400), (60, 700), (40, 900)])
    front = front_of(records, {"accuracy": "max", "macs": "min"})
    # The reference is (40, 900): 10 x 500 below the first, and 10 x 200 more below the second.
    assert front.hypervolume == 10 * 500 + 10 * 200


@settings(max_examples=50, deadline=None)
@given(rows=rows, objectives=directions, seed=st.integers(0, 99))
def test_the_order_of_trials_does_not_matter(rows, objectives, seed):
    records = records_of(rows, tuple(GOALS))
    shuffled = [records[n] for n in np.random.default_rng(seed).permutation(len(records))]
    one, two = front_of(records, objectives), front_of(shuffled, objectives)

    def shape(front):
        return sorted(tuple(p.scores[name] for name in objectives) for p in front.points)

    assert shape(one) == shape(two)
    assert one.reference == two.reference
    assert one.hypervolume == pytest.approx(two.hypervolume)


@given(rows=rows)
@settings(max_examples=50, deadline=None)
def test_points_go_from_cheap_to_dear_and_one_is_the_knee(rows):
    front = front_of(records_of(rows, tuple(GOALS)), {"accuracy": "max", "macs": "min"})
    assert [p.scores["macs"] for p in front.points] == sorted(
        p.scores["macs"] for p in front.points
    )
    assert sum(point.is_knee for point in front.points) == 1
    for one, two in itertools.pairwise(front.points):
        assert one.scores["accuracy"] < two.scores["accuracy"]


def test_the_knee_bends_most():
    records = records_of([(10, 1), (80, 2), (85, 6), (90, 10)])
    knee = front_of(records, {"accuracy": "max", "macs": "min"}).knee()
    assert knee.number == 1


def test_the_knee_does_not_depend_on_units():
    rows = [(10, 1), (50, 3), (85, 6), (90, 10)]
    for scale in (1e-3, 1.0, 1e9):
        records = records_of([(a, m * scale) for a, m in rows])
        assert front_of(records, {"accuracy": "max", "macs": "min"}).knee().number == 2


def test_one_trial_is_the_front_and_its_knee():
    front = front_of(records_of([(50, 400)]), {"accuracy": "max", "macs": "min"})
    assert [point.number for point in front.points] == [0]
    assert front.knee().number == 0
    assert front.hypervolume == 0


def test_of_equal_trials_the_first_stands():
    front = front_of(records_of([(50, 400)] * 3), {"accuracy": "max", "macs": "min"})
    assert [point.number for point in front.points] == [0]


def test_costs_alone_can_be_objectives():
    front = front_of(records_of([(50, 400), (60, 300), (70, 500)]), {"macs": "min"})
    assert [point.number for point in front.points] == [1]
    assert front.reference == {"macs": 500}
    assert front.hypervolume == 200


def test_failed_trials_are_counted_and_left_out():
    records = [record(0, None), record(1, {"accuracy": 5.0, "macs": 7.0}), record(2, None)]
    front = front_of(records, {"accuracy": "max", "macs": "min"})
    assert [point.number for point in front.points] == [1]
    assert (front.trials, front.failed) == (3, 2)


@pytest.mark.parametrize("records", [[], [record(0, None), record(1, None)]])
def test_where_nothing_finished_the_front_is_empty(records):
    front = front_of(records, {"accuracy": "max"})
    assert (front.points, front.trials, front.failed) == ((), len(records), len(records))
    with pytest.raises(InputError, match="no finished trial"):
        front.knee()
    assert front.to_data()["points"] == []


def test_an_unknown_score_is_said_with_those_that_are_there():
    with pytest.raises(InputError, match=r"no score 'latency_ms' \(they have accuracy, macs\)"):
        front_of(records_of([(50, 400)]), {"accuracy": "max", "latency_ms": "min"})
    with pytest.raises(InputError, match="no score 'macs'"):
        front_of([*records_of([(50, 400)]), record(1, {"accuracy": 1.0})], {"macs": "min"})
