"""A zero-cost proxy as a filter, from the command line."""

import numpy as np
import pytest
from commands import senet_nas, write_run

from search_space import load
from senet_nas.proxies import proxy_score, training_batch
from senet_nas.search import RunFolder
from strategies import make_strategy

FILTER = """
[filter]
proxy = "synflow"
keep = 0.34
"""


@pytest.fixture(scope="module")
def filtered(tmp_path_factory, images):
    """The folder of a search whose three random candidates are each the best of three."""
    path = tmp_path_factory.mktemp("filtered")
    run = write_run(path / "run.toml", images, 3)
    text = run.read_text().replace('"nsga2"\npopulation_size = 3', '"random_search"')
    run.write_text(text.replace('macs = "min"', "") + FILTER)
    done = senet_nas("search", run, "--out", path / "out")
    assert done.status == 0, done.stderr
    return RunFolder.open(path / "out")


def test_the_best_of_three_by_the_proxy_are_trained(filtered):
    run, space = filtered.run_file(), load("cifar_tiny")
    evaluation = run.evaluation
    batch = training_batch(evaluation.data, 16, evaluation.validation, evaluation.seed)

    def score(candidate):
        return proxy_score("synflow", space.build(candidate), *batch, seed=evaluation.seed)

    for number, record in enumerate(filtered.trials()):
        rng = np.random.default_rng([run.strategy.seed, number])
        drawn = [space.sample(rng) for _ in range(3)]
        assert record.candidate == max(drawn, key=score)


def test_without_the_filter_others_are_trained(filtered):
    strategy = make_strategy("random_search", load("cifar_tiny"), {"accuracy": "max"})
    plain = [strategy.ask() for _ in range(3)]
    assert plain != [record.candidate for record in filtered.trials()]


def test_the_filter_is_part_of_the_run(filtered):
    assert filtered.run_file().filter.proxy == "synflow"
    done = senet_nas("resume", filtered.path, "--set", "filter.keep=0.5")
    assert done.status == 2
    assert "filter differs from the run's own" in done.stderr
