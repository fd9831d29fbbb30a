"""How far proxies agree with what a run has trained, on a run that was trained for it."""

import json
import shutil
from dataclasses import replace

import pytest
from scipy import stats

from search_space import InputError
from senet_nas.analysis.proxy_trust import print_trust, proxy_trust
from senet_nas.proxies import proxy_names, proxy_score, training_batch
from senet_nas.search import RunFolder


@pytest.fixture(scope="module")
def trust(finished):
    seen = []
    found = proxy_trust(
        RunFolder.open(finished), images=8, on_network=lambda done, of: seen.append((done, of))
    )
    assert seen == [(n + 1, found.networks) for n in range(found.networks)]
    return found


def test_every_proxy_stands_beside_the_null_models(trust, finished):
    assert list(trust.correlations) == [*proxy_names(), "params", "macs"]
    assert trust.networks == len(RunFolder.open(finished).trials())
    assert all(seconds > 0 for seconds in trust.seconds.values())
    assert trust.correlations["params"].beats_nulls is None
    assert 0 <= trust.correlations["synflow"].beats_nulls <= 1


def test_the_correlations_are_those_of_the_trials(trust, finished):
    folder = RunFolder.open(finished)
    run, trials = folder.run_file(), folder.trials()
    space, settings = run.space.open(), run.evaluation
    accuracy = [trial.scores["accuracy"] for trial in trials]
    batch = training_batch(settings.data, 16, settings.validation, settings.seed, 8)
    scores = [
        proxy_score("naswot", space.build(t.candidate), *batch, seed=settings.seed) for t in trials
    ]
    for name, values in (
        ("naswot", scores),
        ("params", [trial.scores["params"] for trial in trials]),
    ):
        expected = stats.kendalltau(values, accuracy).statistic
        assert trust.correlations[name].tau == pytest.approx(expected)


def test_validation_images_are_left_out(finished):
    settings = RunFolder.open(finished).run_file().evaluation
    train = training_batch(settings.data, 16, settings.validation, settings.seed, 10_000)
    more = training_batch(settings.data, 16, settings.validation / 2, settings.seed, 10_000)
    assert len(train.labels) < len(more.labels) < 48  # images of the training split


def test_it_is_one_json_document_and_a_table(trust, capsys):
    data = json.loads(json.dumps(trust.to_data(), allow_nan=False))
    assert data["networks"] == trust.networks
    assert set(data["scores"]["zico"]) == {
        "tau", "tau_interval", "rho", "rho_interval", "beats_nulls", "seconds"
    }  # fmt: skip
    print_trust("a run", trust)
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("zico", "macs", "95%"))


def test_named_proxies_alone_over_the_latest_trials(finished):
    found = proxy_trust(RunFolder.open(finished), ["synflow"], images=4, limit=3)
    assert list(found.correlations) == ["synflow", "params", "macs"]
    assert found.networks == 3


def test_accuracies_of_different_rungs_are_not_ranked_together(finished, tmp_path):
    copy = RunFolder.open(shutil.copytree(finished, tmp_path / "copy"))
    trials = copy.trials()
    for trial in trials[:3]:
        scores = {**trial.scores, "accuracy": 99.0}
        copy.append(replace(trial, rung=1, scores=scores))
    found = proxy_trust(copy, ["synflow"], images=4)
    assert found.networks == 3
    assert found.correlations["params"].tau is None  # all three are as accurate


def test_what_a_user_can_mend_is_said(finished, tmp_path):
    folder = RunFolder.open(finished)
    with pytest.raises(InputError, match="proxy 'snip' is not known"):
        proxy_trust(folder, ["snip"])
    copy = RunFolder.open(shutil.copytree(finished, tmp_path / "copy"))
    lines = copy.trials_file.read_text().splitlines(keepends=True)
    copy.trials_file.write_text("".join(lines[:2]))
    with pytest.raises(InputError, match="2 trials succeeded so far; a rank correlation needs 3"):
        proxy_trust(copy)
