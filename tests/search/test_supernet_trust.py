"""What a supernet's scores are held against: as much random search, rankings, and a verdict."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from commands import write_images

from search_space import InputError
from senet_nas.analysis.supernet_trust import _line, _tau, _verdict, ranked_objective
from senet_nas.search import RunFolder, load_run_file
from senet_nas.search.weight_sharing.equal_seconds import random_searches
from senet_nas.search.weight_sharing.trust import _Evaluations


class Workshop:
    """Trains networks in as many seconds as their first number says; others were trained before."""

    def __init__(self, before):
        self.known = dict(before)
        self.rounds = []

    def trained(self, candidates):
        self.rounds.append(len(candidates))
        self.known |= {candidate: float(candidate[0]) for candidate in candidates}
        return self.known


def drawn(seconds):
    return ((seconds, number) for number in count())


def test_random_search_has_the_seconds_that_its_own_networks_take():
    """Not those of the sample over all costs, in which large networks are as many as small ones."""
    workshop = Workshop({(10, -number): 10.0 for number in range(20)})
    found = random_searches([drawn(2), drawn(1)], workshop.trained, 60.0)
    assert [len(networks) for networks in found] == [30, 60]
    assert found[0] == tuple((2, number) for number in range(30))
    rounds = len(workshop.rounds)
    assert rounds <= 6
    assert random_searches([drawn(2), drawn(1)], workshop.trained, 60.0) == found
    assert sum(workshop.rounds[rounds:]) == 0  # a run that goes on trains nothing again


def test_a_random_search_has_one_network_at_least_and_no_more_than_there_are():
    workshop = Workshop({(1, -1): 1.0})
    assert random_searches([drawn(9)], workshop.trained, 1.0) == (((9, 0),),)
    assert random_searches([iter([(1, 0), (1, 1)])], workshop.trained, 9.0) == (((1, 0), (1, 1)),)


def test_networks_that_fail_do_not_let_a_random_search_go_on_for_ever():
    workshop = Workshop({(1, -1): 2.0})
    (networks,) = random_searches([drawn(0)], workshop.trained, 10.0)
    assert len(networks) == 5


def test_the_ranking_that_counts_is_of_what_training_decides():
    assert ranked_objective({"macs": "min", "loss": "min", "accuracy": "max"}) == "loss"
    assert ranked_objective({"macs": "min"}) == "accuracy"


def test_larger_networks_are_taken_to_be_better_whichever_way_the_score_goes():
    pairs = [({"loss": n / 9}, {"loss": n / 8, "macs": 100.0 - n}) for n in range(9)]
    assert _tau(pairs, "loss", "min").macs == pytest.approx(1.0)
    up = [(s | {"accuracy": -s["loss"]}, a | {"accuracy": -a["loss"]}) for s, a in pairs]
    assert _tau(up, "accuracy", "max").macs == pytest.approx(1.0)


def test_what_a_supernet_adds_to_macs_is_told_beside_what_they_say():
    macs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    alone = [1.0, 2.0, 4.0, 3.0, 6.0, 5.0]
    pairs = [
        ({"accuracy": score}, {"accuracy": result, "macs": cost})
        for score, result, cost in zip([1.0, 3.0, 4.0, 2.0, 6.0, 5.0], alone, macs, strict=True)
    ]
    found = _tau(pairs, "accuracy", "max")
    ranks = np.array([[s["accuracy"] for s, _ in pairs], alone, macs])
    inverse = np.linalg.inv(np.corrcoef(ranks))
    expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert found.rho_given_macs == pytest.approx(expected)
    assert f"by MACs alone 0.73; given these Spearman's rho {expected:.2f})" in _line(found)


@pytest.mark.parametrize(
    ("volumes", "beats", "said"),
    [
        ([5.0, 1.0, 1.1, 0.9], True, "beyond the spread"),
        ([1.0, 1.0, 1.1, 0.9], False, "no winner"),
        ([0.1, 1.0, 1.1, 0.9], False, "below the spread"),
        ([5.0, 1.0], None, "no spread, so there is no winner (5.000 times"),
        ([None], None, "supernet.trust.seeds = 0"),
        ([None, 1.0, 1.0], None, "no network that could be trained"),
    ],
)
def test_no_winner_is_announced_within_the_spread_of_random_search(volumes, beats, said):
    found, sentence = _verdict(volumes)
    assert found is beats
    assert said in sentence


def test_networks_that_were_trained_for_other_epochs_are_not_taken(tmp_path):
    images = write_images(tmp_path / "images")
    text = f"[space]\nname='cifar_tiny'\n[evaluation]\ndata='{images}'\n[budget]\ntrials=1\n"
    (tmp_path / "run.toml").write_text(text)
    run = load_run_file(tmp_path / "run.toml", ["evaluation.epochs=1"])
    RunFolder.create(tmp_path / "alone", run)
    _Evaluations(run, tmp_path / "alone", None)
    longer = load_run_file(tmp_path / "run.toml", ["evaluation.epochs=2"])
    with pytest.raises(
        InputError, match=r"trained for 1 epochs, not 2; give supernet.trust.epochs"
    ):
        _Evaluations(longer, tmp_path / "alone", None)
