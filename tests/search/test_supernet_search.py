"""Searches with one trained supernet, from the command line and through its parts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import refused, senet_nas, write_images
from scipy.stats import kendalltau

from search_space import InputError, SearchSpace, around_published, load
from search_space.errors import RunError
from search_space.space import Decision
from senet_nas.cost import cost
from senet_nas.data import training_subset
from senet_nas.nn.supernet import Supernet
from senet_nas.search import RunFolder, load_run_file
from senet_nas.search.known_costs import KnownCosts
from senet_nas.search.progress import ConsoleProgress
from senet_nas.search.running import Running
from senet_nas.search.weight_sharing import scoring
from senet_nas.search.weight_sharing.deriving import TOLERANCE, check_target, derived
from senet_nas.search.weight_sharing.expected_cost import ExpectedCost, one_hots
from senet_nas.search.weight_sharing.one_shot import SUPERNET_FILE, SupernetJob, extremes
from senet_nas.search.weight_sharing.one_shot import train_supernet as train
from senet_nas.search.weight_sharing.paths import IN_A_ROW
from senet_nas.search.weight_sharing.scoring import SupernetEvaluator
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint
from senet_nas.search.weight_sharing.trust import se_positions
from senet_nas.training import evaluate, load_checkpoint, load_recipe
from senet_nas.training import train as teach
from senet_nas.training.progress import TrainingProgress
from senet_nas.training.run_state import METRICS_FILE, STATE_FILE

RUN = """
[space]
name = "cifar_tiny"

[strategy]
name = "nsga2"
population_size = 3

[evaluation]
data = "{images}"
image_size = 16
epochs = 1
batch_size = 24
precision = "fp32"

[resources]
workers = 1

[supernet]
epochs = 2
batch_size = 12
precision = "fp32"
images = 24
{more}

[budget]
trials = 5
"""
NO_TRUST = "trust = { candidates = 0 }"
SPACE = load("cifar_tiny")


def write(path, images, more=NO_TRUST):
    path.write_text(RUN.format(images=images, more=more))
    return path


@pytest.fixture(scope="module")
def searched(tmp_path_factory, images):
    """The folder of a one-shot search that ran to its end."""
    path = tmp_path_factory.mktemp("one_shot")
    done = senet_nas("search", write(path / "run.toml", images), "--out", path / "out")
    assert done.status == 0, done.stderr
    return path / "out"


@pytest.fixture
def job(tmp_path, images):
    run = load_run_file(write(tmp_path / "run.toml", images))
    return SupernetJob(run.space, run.evaluation, run.supernet, tmp_path / "supernet")


def checkpoint(searched):
    return searched / "supernet" / SUPERNET_FILE


def evaluator(searched, tune_epochs=0.0):
    run = RunFolder.open(searched).run_file()
    section = run.supernet.model_copy(update={"tune_epochs": tune_epochs})
    return SupernetEvaluator(run.evaluation, SPACE, checkpoint(searched), section)


def test_a_run_trains_one_supernet_and_scores_its_trials_in_it(searched):
    records = RunFolder.open(searched).trials()
    assert len(records) == 5
    assert all(record.scores and record.epochs == 0 for record in records)
    loaded = SupernetCheckpoint.load(checkpoint(searched))
    assert loaded.fingerprint == SPACE.fingerprint()
    assert not (searched / "supernet" / STATE_FILE).exists()
    lines = (searched / "supernet" / METRICS_FILE).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    scored = evaluator(searched)
    for record in records:
        again, _ = scored.at_rung(SPACE.build(record.candidate))
        assert again.scores["accuracy"] == pytest.approx(record.scores["accuracy"])
        assert again.scores["loss"] == pytest.approx(record.scores["loss"], rel=1e-4)


@pytest.mark.parametrize("tune_epochs", [0.0, 0.5])
def test_a_score_is_that_of_the_network_alone_and_leaves_the_supernet_as_it_was(
    searched, tune_epochs
):
    scored = evaluator(searched, tune_epochs)
    before = {name: t.clone() for name, t in scored.supernet.state_dict().items()}
    candidates = [SPACE.sample(np.random.default_rng(n)) for n in (1, 2)]
    first = [scored.at_rung(SPACE.build(c))[0].scores["loss"] for c in candidates]
    second = [scored.at_rung(SPACE.build(c))[0].scores["loss"] for c in reversed(candidates)]
    assert first == second[::-1]
    for name, tensor in scored.supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_network_is_taken_out_with_the_weights_that_it_was_scored_with(
    searched, images, tmp_path
):
    scored, record = evaluator(searched), RunFolder.open(searched).trials()[2]
    path = tmp_path / "taken.safetensors"
    done = senet_nas("subnet", searched, "--arch", "2", "--out", path, "--json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["validation_accuracy"] == record.scores["accuracy"]
    taken = load_checkpoint(path)
    assert taken.architecture == SPACE.build(record.candidate)
    alone = evaluate(taken.network(), scored.validation, mean=taken.mean, std=taken.std)
    assert alone.loss == pytest.approx(record.scores["loss"], rel=1e-4)
    assert alone.top1 == pytest.approx(record.scores["accuracy"])
    tested = senet_nas("evaluate", path, "--data", images, "--json")
    assert tested.status == 0, tested.stderr
    trained = senet_nas(
        *("retrain", "--from", path, "--recipe", "proxy", "--data", images, "--image-size", "16"),
        *("--set", "epochs=1", "batch_size=12", "--out", tmp_path / "trained"),
    )
    assert trained.status == 0, trained.stderr


def test_a_network_is_tuned_by_the_recipe_of_its_supernet(searched):
    """As it would be by hand: from a copy of its weights, on so much of the training images."""
    tuned, plain = evaluator(searched, 1.5), evaluator(searched)
    architecture = SPACE.build(SPACE.sample(np.random.default_rng(4)))
    network = plain.network(architecture)
    part = training_subset(plain.training.labels, 0.75, plain.settings.seed)
    recipe = load_recipe("supernet", {"epochs": 2, "batch_size": 12, "warmup_epochs": 0.0})
    teach(
        network,
        plain.training.subset(part),
        replace(recipe, precision="fp32"),
        seed=plain.settings.seed,
        mean=plain.mean,
        std=plain.std,
    )
    by_hand = evaluate(network, plain.validation, mean=plain.mean, std=plain.std)
    scores = tuned.at_rung(architecture)[0].scores
    assert scores["loss"] == pytest.approx(by_hand.loss, rel=1e-5)
    assert scores["loss"] != pytest.approx(plain.at_rung(architecture)[0].scores["loss"], rel=1e-3)


def test_tuning_is_what_a_network_needs(searched):
    """Ten epochs alone, and it knows its training images better."""
    architecture = SPACE.build(SPACE.sample(np.random.default_rng(5)))
    losses = [
        evaluate(scored.network(architecture), scored.training, mean=scored.mean, std=scored.std)
        for scored in (evaluator(searched), evaluator(searched, 10))
    ]
    assert losses[1].loss < losses[0].loss - 0.05


def test_tuned_networks_are_taken_out_as_they_were_scored(searched, images, tmp_path):
    run, out = write(tmp_path / "run.toml", images), tmp_path / "tuned"
    done = senet_nas(
        *("search", run, "--out", out, "--supernet", checkpoint(searched), "--json"),
        *("--set", "supernet.tune_epochs=2", "--set", "budget.trials=2"),
    )
    assert done.status == 0, done.stderr
    untuned = {r.candidate: r.scores["loss"] for r in RunFolder.open(searched).trials()}
    for record in RunFolder.open(out).trials():
        assert record.scores["loss"] != pytest.approx(untuned[record.candidate], rel=1e-3)
        path = tmp_path / f"{record.number}.safetensors"
        done = senet_nas("subnet", out, "--arch", record.number, "--out", path)
        assert done.status == 0, done.stderr
        taken, scored = load_checkpoint(path), evaluator(searched)
        alone = evaluate(taken.network(), scored.validation, mean=taken.mean, std=taken.std)
        assert alone.loss == pytest.approx(record.scores["loss"], rel=1e-4)


def test_a_network_whose_tuning_diverges_is_a_failed_trial(searched, images, tmp_path):
    """By the tuning and nothing else: without it the same run scores the same networks."""
    run, recipe = write(tmp_path / "run.toml", images), tmp_path / "steep.toml"
    recipe.write_text("epochs = 1\nbatch_size = 12\nlearning_rate = 1e30\n")
    given = ("--supernet", checkpoint(searched), "--set", f"supernet.recipe={recipe}")
    changes = (*given, "--set", "budget.trials=2", "--set", "supernet.tune_epochs=1")
    done = senet_nas("search", run, "--out", tmp_path / "tuned", *changes)
    assert done.status == 1, done.stderr
    failed = RunFolder.open(tmp_path / "tuned").trials()
    assert [record.scores for record in failed] == [None, None], done.stderr
    assert all("the loss became" in record.reason for record in failed)
    untuned = (*changes, "--set", "supernet.tune_epochs=0")
    assert senet_nas("search", run, "--out", tmp_path / "plain", *untuned).status == 0
    scored = RunFolder.open(tmp_path / "plain").trials()
    assert [r.candidate for r in scored] == [r.candidate for r in failed]
    assert all(record.scores for record in scored)


def test_a_taken_network_lies_in_the_run_by_default_and_needs_a_supernet(searched, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(searched, run)
    done = senet_nas("subnet", run)
    assert done.status == 0, done.stderr
    (path,) = run.glob("subnet-*/checkpoint.safetensors")
    assert done.stderr == f"written: {path}\n"
    assert "there is no folder" in refused("subnet", run, "--out", tmp_path / "none" / "file")
    assert "no trial '99'" in refused("subnet", run, "--arch", "99")
    (run / "supernet" / SUPERNET_FILE).unlink()
    assert SUPERNET_FILE in refused("subnet", run)
    text = (run / "run.toml").read_text()
    (run / "run.toml").write_text(text[: text.index("[supernet")] + "[budget]\ntrials = 5\n")
    assert "trained alone" in refused("subnet", run)


def test_norms_are_set_anew_for_each_network(searched):
    """Not those of training: with shared statistics made useless the score is the same."""
    scored = evaluator(searched)
    network = SPACE.build(SPACE.sample(np.random.default_rng(3)))
    honest = scored.at_rung(network)[0].scores["loss"]
    with torch.no_grad():
        for name, buffer in scored.supernet.named_buffers():
            if name.endswith("running_var"):
                buffer.fill_(1e6)
    assert scored.at_rung(network)[0].scores["loss"] == pytest.approx(honest, rel=1e-6)


def test_norms_are_set_by_batches_of_one_size(searched, monkeypatch):
    """Each counts the same, so that a small last one would spoil them."""
    monkeypatch.setattr(scoring, "BATCH", 11)
    assert [len(batch) for batch in evaluator(searched)._recalibration] == [8, 8, 8]


def test_a_supernet_is_searched_again_under_other_limits(searched, images, tmp_path):
    run = write(tmp_path / "run.toml", images)
    macs = sorted(record.scores["macs"] for record in RunFolder.open(searched).trials())
    done = senet_nas(
        *("search", run, "--out", tmp_path / "again", "--supernet", checkpoint(searched)),
        *("--set", f"limits.macs={macs[-1]}", "--set", "budget.trials=3", "--json"),
    )
    assert done.status == 0, done.stderr
    assert not (tmp_path / "again" / "supernet").exists()
    found = RunFolder.open(tmp_path / "again").trials()
    assert all(record.scores["macs"] <= macs[-1] for record in found)


@pytest.fixture(scope="module")
def costly(searched, tmp_path_factory):
    """A supernet that took 1,000 seconds, as it says."""
    path = tmp_path_factory.mktemp("costly") / SUPERNET_FILE
    replace(SupernetCheckpoint.load(checkpoint(searched)), seconds=1000.0).save(path)
    return path


def as_trained_here(monkeypatch, costly):
    from senet_nas.search.weight_sharing import training

    def found(run, folder):
        (folder / "supernet").mkdir(exist_ok=True)
        shutil.copy(costly, folder / "supernet" / SUPERNET_FILE)
        return folder / "supernet" / SUPERNET_FILE

    monkeypatch.setattr(training, "supernet_of", found)


def test_a_supernet_that_is_there_already_takes_none_of_the_budget(costly, images, tmp_path):
    run = write(tmp_path / "run.toml", images)
    changes = ("--set", "budget.seconds=500", "--set", "budget.trials=1")
    done = senet_nas("search", run, "--out", tmp_path / "o", "--supernet", costly, *changes)
    assert done.status == 0, done.stderr
    (record,) = RunFolder.open(tmp_path / "o").trials()
    assert record.elapsed_seconds < 500


def test_the_training_of_a_supernet_is_counted_once(costly, images, tmp_path, monkeypatch):
    as_trained_here(monkeypatch, costly)
    run = load_run_file(write(tmp_path / "run.toml", images))
    running = Running(RunFolder.create(tmp_path / "o", run), 3, ConsoleProgress())
    running._started -= 1000.0  # that it trained for
    running._supernet()
    assert 1000 <= running.elapsed_seconds() < 1100


def test_a_supernet_that_takes_the_whole_budget_is_told(costly, images, tmp_path, monkeypatch):
    as_trained_here(monkeypatch, costly)
    run = write(tmp_path / "run.toml", images, "trust = { candidates = 20 }")
    done = senet_nas("search", run, "--out", tmp_path / "o", "--set", "budget.seconds=900")
    assert done.status == 1
    assert "took 1000 s of the budget of 900 s" in done.stderr
    assert not (tmp_path / "o" / "trust").exists()


def test_progress_is_told_of_steps_too(images, tmp_path, monkeypatch):
    """In a terminal steps are what moves the bar."""
    from senet_nas.search.weight_sharing import training

    told = []

    class Told(TrainingProgress):
        def after_step(self, report):
            told.append(report.step)

    monkeypatch.setattr(training, "TrainingProgress", Told)
    run = load_run_file(write(tmp_path / "run.toml", images))
    training.supernet_of(run, tmp_path)
    assert told and told[0] == 1


def test_a_supernet_given_as_one_network_is_called_what_it_is(searched, images):
    said = refused("evaluate", checkpoint(searched), "--data", images)
    assert said.endswith("not a checkpoint of senet-nas: it is a supernet")


def test_a_supernet_of_another_space_is_refused_naming_what_differs(searched, images, tmp_path):
    run = write(tmp_path / "run.toml", images)
    said = refused(
        *("search", run, "--out", tmp_path / "o", "--supernet", checkpoint(searched)),
        *("--set", 'space.name="cifar_mobile"'),
    )
    assert "another space, 'cifar_tiny'" in said
    assert "stage" in said
    assert not (tmp_path / "o").exists()


def test_a_supernet_of_other_images_of_the_same_classes_is_refused(searched, tmp_path):
    """More of the same images are split otherwise, and so were learned from in part."""
    run = write(tmp_path / "run.toml", write_images(tmp_path / "more", train=20))
    said = refused("search", run, "--out", tmp_path / "o", "--supernet", checkpoint(searched))
    assert "a supernet of other images" in said
    assert not (tmp_path / "o").exists()


def test_a_supernet_of_other_networks_by_the_same_decisions_is_refused(searched):
    loaded = SupernetCheckpoint.load(checkpoint(searched))
    loaded.check_weights(SPACE, "here")
    wider = around_published("resnext50_32x4d", {"r": [4, 16]})
    narrower = around_published("resnet50", {"r": [4, 16]})
    assert wider.fingerprint() == narrower.fingerprint()
    with torch.device("meta"):
        weights = Supernet(narrower, 3).state_dict()
    of_other = replace(loaded, weights=weights, fingerprint=narrower.fingerprint())
    of_other.check_space(wider, "here")
    with pytest.raises(InputError, match="a supernet of other networks"):
        of_other.check_weights(wider, "here")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("evaluation.seed=1", "evaluation.seed must be 0, not 1"),
        ("evaluation.validation=0.4", "evaluation.validation must be 0.2"),
        ("evaluation.image_size=24", "evaluation.image_size must be 16"),
    ],
)
def test_a_supernet_that_has_seen_the_validation_images_is_refused(
    searched, images, tmp_path, change, named
):
    run = write(tmp_path / "run.toml", images)
    said = refused(
        *("search", run, "--out", tmp_path / "o", "--supernet", checkpoint(searched)),
        *("--set", change),
    )
    assert named in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("supernet.strategy=nope", "allowed: "),
        ("supernet.distil=false", "supernet: key"),
        ("supernet.sampling=nope", "single_path.sampling 'nope'"),
        ("supernet.largest_share=1.0", "single_path.largest_share must be below 1"),
        ("supernet.recipe=torchvision_v2", "auto_augment = 'ta_wide', which single_path doesn't"),
        ("supernet.tune_epochs=-1", "supernet.tune_epochs"),
        ("supernet.workers=5", "batch_size 12 can't be shared by 5 workers"),
        ("supernet.checkpoint=nowhere.safetensors", "no such supernet"),
        ("supernet.trust.candidates=5", "at least 20"),
        ("supernet.targets=[1e6]", "supernet.targets goes with darts"),
        ("budget.epochs=3", "budget.epochs"),
        ("strategy.name=lamarckian", "lamarckian"),
        ("fidelity.rungs=[{epochs=1},{epochs=2}]", "fidelity"),
    ],
)
def test_mistakes_are_one_line(images, tmp_path, change, named):
    run = write(tmp_path / "run.toml", images)
    assert named in refused("search", run, "--out", tmp_path / "o", "--set", change)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (["strategy=darts", "order=3"], "darts.order must be 1 or 2, not 3"),
        (["strategy=gumbel", "temperature_end=0.0"], "gumbel.temperature_end must be above 0"),
        (["strategy=darts", "recipe=rsb_a3", "batch_size=12"], "rsb_a3 has auto_augment"),
        (["strategy=darts", "limits.macs=1e6"], "limits: darts aims at supernet.targets"),
        (["strategy=darts", "tune_epochs=1"], "tune_epochs go with sandwich"),
        (["workers=1200", "batch_size=1200"], "1200 need 1200 CPUs"),
    ],
)
def test_what_training_would_refuse_is_refused_before_anything_is_written(
    images, tmp_path, changes, named
):
    run = write(tmp_path / "run.toml", images)
    keys = [change if change.startswith("limits") else f"supernet.{change}" for change in changes]
    sets = [part for key in keys for part in ("--set", key)]
    assert named in refused("search", run, "--out", tmp_path / "o", *sets)
    assert not (tmp_path / "o").exists()


def test_a_training_that_was_stopped_ends_as_one_that_was_not(job):
    whole = train(job)
    stopped = replace(job, out=job.out.with_name("stopped"), save_seconds=0.0)

    def stop(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, on_epoch=stop)
    assert not (stopped.out / SUPERNET_FILE).exists()
    ended = SupernetCheckpoint.load(train(stopped)).weights
    for name, tensor in SupernetCheckpoint.load(whole).weights.items():
        assert torch.equal(tensor, ended[name]), name


def test_another_training_in_the_folder_is_refused(job):
    def stop(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(job, save_seconds=0.0), on_epoch=stop)
    other = job.supernet.model_copy(update={"seed": 1})
    with pytest.raises(InputError, match="another supernet"):
        train(replace(job, supernet=other))


@pytest.fixture
def spoiled(monkeypatch):
    """Some steps' losses become infinite: the numbers of those that do."""
    from senet_nas.search.weight_sharing import paths

    numbers = set()
    count = 0
    genuine = paths._BatchLearner.learn

    def learn(self, candidate, teacher=None, share=1.0):
        nonlocal count
        if teacher is None:  # the largest, once a step
            count += 1
        if count - 1 in numbers and teacher is None:
            self.images = self.images * float("nan")
        return genuine(self, candidate, teacher, share)

    monkeypatch.setattr(paths._BatchLearner, "learn", learn)
    return numbers


def test_a_step_without_a_finite_loss_is_skipped_and_counted(job, spoiled):
    spoiled.update({1, 3})
    loaded = SupernetCheckpoint.load(train(job))
    assert loaded.skipped == 2
    assert all(t.isfinite().all() for t in loaded.weights.values() if t.is_floating_point())


def test_a_run_says_how_many_steps_were_skipped(images, tmp_path, spoiled, capsys):
    from senet_nas.search.weight_sharing.training import supernet_of

    spoiled.update({1, 3})
    supernet_of(load_run_file(write(tmp_path / "run.toml", images)), tmp_path)
    assert "supernet: 2 steps had no finite loss and were skipped" in capsys.readouterr().err


def test_ten_in_a_row_stop_the_run_and_keep_what_was_good(job, spoiled):
    longer = job.supernet.model_copy(update={"epochs": 8})
    job = replace(job, supernet=longer, save_seconds=0.0)
    spoiled.update(range(8, 8 + IN_A_ROW))
    with pytest.raises(RunError, match=f"{IN_A_ROW} steps in a row"):
        train(job)
    assert (job.out / STATE_FILE).exists()
    assert not (job.out / SUPERNET_FILE).exists()


def macs(candidate):
    return float(cost(SPACE.build(candidate), 16, 3).macs)


def test_extremes_are_beyond_what_is_drawn():
    smallest, largest = extremes(SPACE, 16, ("a", "b", "c"))
    rng = np.random.default_rng(0)
    drawn = [macs(SPACE.sample(rng)) for _ in range(200)]
    assert macs(smallest) <= min(drawn) <= max(drawn) <= macs(largest)


@pytest.mark.parametrize("axis", ["macs", "params", "activations"])
def test_expected_cost_is_exact_for_one_network_and_the_mean_over_draws(axis):
    expected = ExpectedCost(SPACE, axis, KnownCosts(16, 3))
    rng = np.random.default_rng(0)
    for candidate in [SPACE.sample(rng) for _ in range(10)]:
        counted = getattr(cost(SPACE.build(candidate), 16, 3), axis)
        assert float(expected(one_hots(SPACE, candidate))) == pytest.approx(counted, rel=1e-5)
    probabilities = [torch.rand(len(d.options)) + 0.1 for d in SPACE.decisions]
    probabilities = [p / p.sum() for p in probabilities]
    drawn = [
        getattr(cost(SPACE.build(SPACE.normalise(numbers)), 16, 3), axis)
        for numbers in zip(
            *(rng.choice(len(p), 3000, p=(p.double() / p.double().sum()).numpy())
              for p in probabilities),
            strict=True,
        )
    ]  # fmt: skip
    error = np.std(drawn) / len(drawn) ** 0.5
    assert abs(float(expected(probabilities)) - np.mean(drawn)) < 4 * error


def test_expected_cost_has_a_gradient_in_every_decision():
    expected = ExpectedCost(SPACE, "macs", KnownCosts(16, 3))
    p = [torch.full((len(d.options),), 1 / len(d.options)) for d in SPACE.decisions]
    p = [one.requires_grad_() for one in p]
    gradients = torch.autograd.grad(expected(p), p)
    assert all(float(g.max() - g.min()) > 0 for g in gradients)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_a_network_is_found_within_three_percent_of_any_target(seed, share):
    rng = np.random.default_rng(seed)
    least, most = (macs(end) for end in extremes(SPACE, 16, ("a", "b", "c")))
    target = least * (most / least) ** share
    likely = [rng.dirichlet(np.full(len(d.options), 0.3)) for d in SPACE.decisions]
    found = derived(SPACE, likely, macs, target, seed)
    assert abs(macs(found) / target - 1) <= TOLERANCE


def test_without_a_target_the_likeliest_options_are_taken():
    likely = [np.eye(len(d.options))[-1] for d in SPACE.decisions]
    assert derived(SPACE, likely) == SPACE.normalise([len(d.options) - 1 for d in SPACE.decisions])


def test_what_does_not_count_in_a_network_makes_it_neither_likelier_nor_less_likely():
    space = SearchSpace(
        "toy",
        (
            Decision("depth", (1, 2)),
            Decision("se", ("none", "some"), when={"depth": [2]}),
            Decision("width", (0, 1)),
        ),
    )
    likely = [(0.5, 0.5), (0.001, 0.999), (0.2, 0.8)]
    costs = {(1, 1): 100.0, (2, 0): 100.0, (1, 0): 50.0, (2, 1): 200.0}

    def value(candidate):
        chosen = space.choices(candidate)
        return costs[chosen["depth"], chosen["width"]]

    # A probability of 0.5 times 0.8, against 0.5 times 0.999 times 0.2.
    assert derived(space, likely, value, 100.0) == space.candidate({"depth": 1, "width": 1})


def test_a_target_that_no_network_reaches_is_refused_with_the_range(images, tmp_path):
    with pytest.raises(InputError, match="so none has"):
        check_target(SPACE, macs, 1e12, "macs")
    run = write(tmp_path / "run.toml", images)
    changes = ["supernet.strategy=gumbel", "supernet.targets=[1e12]"]
    said = refused(
        *("search", run, "--out", tmp_path / "o"),
        *(part for change in changes for part in ("--set", change)),
    )
    assert "networks of 'cifar_tiny' have" in said
    assert not (tmp_path / "o").exists()


def test_a_target_that_no_network_comes_near_is_refused_with_the_nearest():
    space = SearchSpace.from_choices({"a": [10.0, 20.0], "b": [1.0, 100.0]})

    def value(candidate):
        chosen = space.choices(candidate)
        return float(chosen["a"] * chosen["b"])

    for reached in (10.0, 20.5, 2050.0):
        check_target(space, value, reached, "macs")
    with pytest.raises(InputError, match=r"10 to 2000 macs, and none within 3% of 300 .* has 1000"):
        check_target(space, value, 300.0, "macs")
    with pytest.raises(InputError, match="so none has 2059"):  # 2.95% above: too near the edge
        check_target(space, value, 2059.0, "macs")


def test_se_alone_differs_where_se_alone_is_asked_for():
    positions = se_positions(SPACE)
    names = {SPACE.decisions[position].name for position in positions}
    assert names == {d.name for d in SPACE.decisions if d.name.endswith("_se")}


def test_a_differentiable_run_finds_a_network_of_its_target_a_seed(images, tmp_path):
    more = f'strategy = "gumbel"\ntargets = [700000.0]\nseeds = [0, 1]\n{NO_TRUST}'
    run = write(tmp_path / "run.toml", images, more)
    done = senet_nas("search", run, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.stderr
    assert "1/2 trials" in done.stderr  # of two searches, and not of the budget's five
    records = RunFolder.open(tmp_path / "out").trials()
    assert [record.number for record in records] == [0, 1]
    for record in records:
        assert abs(record.scores["macs"] / 700000 - 1) <= TOLERANCE
        told = json.loads((tmp_path / f"out/relaxed/trial_{record.number}.json").read_text())
        assert len(told["epochs"]) == 2
        assert {"entropy", "no_se", "skipped", "expected"} <= told["epochs"][0].keys()
        assert tuple(told["candidate"]) == record.candidate
    again = senet_nas("resume", tmp_path / "out", "--json")
    assert again.data() == done.data()


def test_a_dry_run_says_what_the_supernet_takes(images, tmp_path):
    run = write(tmp_path / "run.toml", images, "trust = { candidates = 20 }")
    told = senet_nas("search", run, "--out", tmp_path / "o", "--dry-run", "--json").data()
    assert told["supernet_seconds"] > 0
    assert told["trust_seconds"] > told["supernet_seconds"]
    assert told["total_seconds"] > told["trust_seconds"]
    assert not (tmp_path / "o").exists()
    changes = ("--set", "supernet.tune_epochs=100")
    tuned = senet_nas("search", run, "--out", tmp_path / "o", "--dry-run", "--json", *changes)
    assert tuned.data()["trial_seconds"] > 5 * told["trial_seconds"]


def test_a_dry_run_says_what_differentiable_searches_take(images, tmp_path):
    more = 'strategy = "darts"\nseeds = [0, 1]\ntrust = { candidates = 20 }'
    run = write(tmp_path / "run.toml", images, more)
    threads = torch.get_num_threads()
    told = senet_nas("search", run, "--out", tmp_path / "o", "--dry-run", "--json").data()
    assert told["trials"] == 2
    assert told["trial_seconds"] > told["supernet_seconds"] > 0
    assert told["total_seconds"] > 2 * told["trial_seconds"]
    assert torch.get_num_threads() == threads
    assert not (tmp_path / "o").exists()


def test_a_dry_run_measures_a_supernet_with_the_threads_that_train_it(
    images, tmp_path, monkeypatch
):
    from senet_nas.search.weight_sharing import estimate

    threads = []
    monkeypatch.setattr(
        estimate, "training_seconds", lambda run: threads.append(torch.get_num_threads()) or 1.0
    )
    run = write(tmp_path / "run.toml", images)
    torch.set_num_threads(2)
    try:
        senet_nas("search", run, "--dry-run", "--set", "resources.cpus_per_trial=1")
    finally:
        torch.set_num_threads(1)
    assert threads == [2]


WIDEST = """
class Strategy:
    \"\"\"The largest network alone learns.\"\"\"

    def __init__(self, space, smallest, largest, seed=0, share=1.0, name=""):
        self.largest, self.share = largest, share

    def step(self, supernet, number):
        supernet.learn(self.largest, share=self.share)
"""


def test_a_one_shot_strategy_is_one_file(tmp_path, images, job, monkeypatch):
    (tmp_path / "own" / "one_shot").mkdir(parents=True)
    (tmp_path / "own" / "one_shot" / "widest.py").write_text(WIDEST)
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path / "own"))
    run = write(tmp_path / "run.toml", images, f'strategy = "widest"\nshare = 0.5\n{NO_TRUST}')
    section = load_run_file(run).supernet
    loaded = SupernetCheckpoint.load(train(replace(job, supernet=section)))
    assert loaded.training["settings"] == {"share": 0.5, "name": ""}  # defaults may change
    said = refused("search", run, "--out", tmp_path / "o", "--set", "supernet.shares=2")
    assert "share" in said


@pytest.mark.slow
def test_two_workers_train_one_supernet_together(images, tmp_path):
    run = write(tmp_path / "run.toml", images)
    done = senet_nas("search", run, "--out", tmp_path / "o", "--set", "supernet.workers=2")
    assert done.status == 0, done.stderr
    assert len(RunFolder.open(tmp_path / "o").trials()) == 5


@pytest.mark.slow
def test_trust_says_what_scores_are_worth(images, tmp_path):
    more = "trust = { candidates = 20, se = 4, seeds = 2, finalists = 2 }"
    run = write(tmp_path / "run.toml", images, more)
    done = senet_nas("search", run, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.stderr
    trust = done.data()["trust"]
    assert trust["all"]["networks"] == 20
    assert trust["all"]["untaught"] is None and not (tmp_path / "out/trust/untaught").exists()
    low, high = trust["all"]["interval"]
    assert low <= trust["all"]["tau"] <= high
    assert trust["se"]["networks"] == 4
    assert len(trust["random"]) == 2
    assert trust["verdict"]
    assert json.loads((tmp_path / "out/trust.json").read_text()) == trust
    again = senet_nas("resume", tmp_path / "out", "--json")
    assert again.data()["trust"] == trust


@pytest.mark.slow
def test_trust_says_what_tuning_ranks_by_itself(searched, images, tmp_path):
    """Tuned for as long as they are trained alone, from the supernet's weights or from their own:
    the latter is the same training, but for the recipe and its warm-up."""
    run = write(tmp_path / "run.toml", images, "trust = { candidates = 20, seeds = 0 }")
    done = senet_nas(
        *("search", run, "--out", tmp_path / "out", "--supernet", checkpoint(searched), "--json"),
        *("--set", "supernet.tune_epochs=1.5", "--set", "budget.trials=1"),
    )
    assert done.status == 0, done.stderr
    briefly = RunFolder.open(tmp_path / "out/trust/untaught")
    trained, taught = briefly.trials(), RunFolder.open(tmp_path / "out/trust/supernet").trials()
    assert [record.candidate for record in trained] == [record.candidate for record in taught]
    evaluation = briefly.run_file().evaluation
    assert (evaluation.recipe, evaluation.epochs, evaluation.fraction) == ("supernet", 2, 0.75)
    assert evaluation.batch_size == 12
    assert all(
        record.scores["loss"] != taught[n].scores["loss"] for n, record in enumerate(trained)
    )
    alone = RunFolder.open(tmp_path / "out/trust/alone").trials()
    both = [[records[n].scores["accuracy"] for n in range(20)] for records in (trained, alone)]
    told = done.data()["trust"]["all"]["untaught"]
    assert told == pytest.approx(kendalltau(*both).statistic)
    shown = senet_nas("resume", tmp_path / "out")
    assert f"by the tuning alone {told:.2f}" in shown.stdout.replace("\n", " ")
