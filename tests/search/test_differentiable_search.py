"""One differentiable search: stopped and resumed, and its choice at the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search_space import load
from senet_nas.data.batches import Batch
from senet_nas.search.evaluation import Evaluator
from senet_nas.search.evaluation_section import EvaluationSection
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.weight_sharing.differentiable import DifferentiableSearch
from senet_nas.search.weight_sharing.perturbation import perturbed
from strategies.differentiable import differentiable_names

SPACE = load("cifar_tiny")


@pytest.fixture(scope="module")
def evaluator(images):
    return Evaluator(EvaluationSection(data=str(images), image_size=16, precision="fp32"))


@pytest.fixture
def search(evaluator, tmp_path):
    """A search of two epochs, by the name of its state's file."""

    def make(name="state", **settings):
        given = {"epochs": 2, "batch_size": 12, "precision": "fp32", **settings}
        section = SupernetSection(**given)
        return DifferentiableSearch(SPACE, evaluator, section, None, 0, tmp_path / name)

    return make


@pytest.mark.parametrize("name", differentiable_names())
def test_a_search_that_was_stopped_ends_as_one_that_was_not(search, name):
    def stop(line):
        raise KeyboardInterrupt

    whole = search("whole", strategy=name)
    found = whole.run()
    with pytest.raises(KeyboardInterrupt):
        search(strategy=name).run(stop)
    resumed = search(strategy=name)
    again = resumed.run()
    assert (again.candidate, again.probabilities) == (found.candidate, found.probabilities)
    for key, tensor in whole.supernet.state_dict().items():
        assert torch.equal(tensor, resumed.supernet.state_dict()[key]), key
    assert resumed.seconds_before == again.epochs[0]["seconds"] > 0


def test_where_nothing_is_lost_without_any_option_the_likeliest_stays():
    """And not the first, which often is no SE."""

    class Blind:
        def logits(self, images, mixture):
            return torch.zeros(len(images), 3)

    class Batches:
        def epoch(self, seed, epoch):
            yield Batch(torch.zeros(8, 3, 2, 2), torch.arange(8) % 3)

    likely = [torch.tensor([0.2, 0.1, 0.5, 0.2]), torch.tensor([0.45, 0.55])]
    found = perturbed(Blind(), likely, Batches(), 0)
    assert [int(np.argmax(p)) for p in found] == [2, 1]


def test_what_is_lost_without_an_option_may_choose(search):
    found = search(strategy="darts", selection="perturbation", epochs=1).run()
    assert found.candidate == SPACE.normalise(found.candidate)
    SPACE.build(found.candidate)
