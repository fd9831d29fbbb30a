"""The run file: what is wrong with one is said in one line before anything is written."""

import tomllib
from pathlib import Path

import pytest
from commands import refused, write_images
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space import InputError, space_names
from senet_nas.cost import COSTS, cost
from senet_nas.search import load_run_file, resources
from senet_nas.search.preparation import build_strategy
from senet_nas.search.resources_section import ResourcesSection
from senet_nas.search.run_file import MEASURED, parse_run_file
from senet_nas.training import recipe_names

WRONG_FILES = {
    "unknown space": ('"cifar_tiny"', '"cifar_tini"', "space 'cifar_tini' is not known"),
    "unknown strategy": ('"nsga2"', '"nsga3"', "strategy 'nsga3' is not known"),
    "unknown section": ("[budget]", "[budgets]", "'budget'"),
    "unknown key": (
        "image_size",
        "image_sise",
        "evaluation: key 'image_sise' is not known; did you mean 'image_size'?",
    ),
    "unknown setting": ("population_size", "populaton_size", "'populaton_size' is not known"),
    "unknown objective": ('macs = "min"', 'mac = "min"', "'mac' is not known"),
    "unknown direction": ('macs = "min"', 'macs = "less"', "objectives.macs"),
    "unknown limit": ("[evaluation]", "[limits]\nflops = 1\n[evaluation]", "'flops' is not known"),
    "a limit that is no number": ("[evaluation]", '[limits]\nmacs = "few"\n[evaluation]', "limits"),
    "setting out of range": ("population_size = 3", "population_size = 1", "population_size"),
    "setting of another type": ("population_size = 3", 'population_size = "x"', "population_size"),
    "no trials": ("trials = 10", "trials = 0", "budget.trials"),
    "no budget": ("trials = 10", "", "budget"),
    "budget for ever": ("trials = 10", "seconds = inf", "budget.seconds"),
    "budget of no number": ("trials = 10", "seconds = nan", "budget.seconds"),
    "no epochs": ("epochs = 1", "epochs = 0", "evaluation.epochs"),
    "a part of an epoch": ("epochs = 1", "epochs = 1.5", "evaluation.epochs"),
    "unknown precision": ('"fp32"', '"fp8"', "evaluation.precision"),
    "no objectives": ('accuracy = "max"\nmacs = "min"', "", "objectives"),
    "negative seed": ("[objectives]", "seed = -1\n[objectives]", "seed"),
    "unknown proxy": (
        "[budget]",
        '[filter]\nproxy = "zeco"\n[budget]',
        "proxy 'zeco' is not known",
    ),
    "a filter that keeps none": (
        "[budget]",
        '[filter]\nproxy = "zico"\nkeep = 0.0\n[budget]',
        "filter.keep",
    ),
    "a filter that keeps more than all": (
        "[budget]",
        '[filter]\nproxy = "zico"\nkeep = 1.5\n[budget]',
        "filter.keep",
    ),
    "a filter by nothing": ("[budget]", "[filter]\nkeep = 0.5\n[budget]", "filter.proxy"),
    "broken TOML": ("[budget]", "[budget", "run.toml"),
    "SE of a date": (
        'name = "cifar_tiny"',
        'published = "cifar_resnet20"\nse = { r = 2020-01-01 }',
        "space.se: Object of type date",
    ),
    "a spread over what is not known": (
        'name = "nsga2"\npopulation_size = 3',
        'name = "random_search"\nuniform_over = "accuracy"',
        "'accuracy' can't be computed before training (known: macs)",
    ),
    "image smaller than the stride": ("image_size = 16", "image_size = 4", "image_size"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_run_file_is_refused(name, folder):
    old, new, said = WRONG_FILES[name]
    folder.replace(old, new)
    assert said in refused("search", "run.toml", "--out", "out")
    assert folder.holds() == {"run.toml"}


WRONG_SETS = {
    "budget.trials=five": "budget.trials",
    "budget.trials=2.5": "budget.trials",
    "budget.trials=true": "budget.trials",
    "budget.trials='7'": "budget.trials",
    "budget.trials=-1": "budget.trials",
    "budget=5": "budget",
    "budget.trials": "key=value",
    "=5": "key=value",
    "budget..trials=5": "key=value",
    "budgt.trials=5": "'budgt' is not known; did you mean 'budget'?",
    "budget.trails=5": "budget: key 'trails' is not known; did you mean 'trials'?",
    "space.name.first=5": "name is not a section",
    "evaluation.recipe=proxi": "recipe 'proxi' is not known",
    "evaluation.recipe=absent.toml": "absent.toml",
    "evaluation.fraction=0": "evaluation.fraction",
    "evaluation.fraction=1.1": "evaluation.fraction",
    "evaluation.validation=1": "evaluation.validation",
    "evaluation.batch_size=1": "batch_size",
    "evaluation.image_size=0": "evaluation.image_size",
    "evaluation.image_size='16'": "evaluation.image_size",
    "resources.workers=64": "64 workers",
    "resources.workers=-1": "resources.workers",
    "resources.cpus_per_trial=0": "resources.cpus_per_trial",
    "resources.gpus_per_trial=1.5": "gpus_per_trial",
    "resources.gpus_per_trial=inf": "gpus_per_trial",
    "resources.gpus_per_trial=8": "GPU",
    "limits.macs=-inf": "limits.macs",
    "limits.macs=nan": "limits.macs",
    "strategy.name=": "strategy",
    "strategy.name=3": "strategy.name",
    "strategy.seed=0.5": "strategy.seed",
    "strategy.mutations=-1": "mutations",
    "objectives.accuracy=5": "objectives.accuracy",
}


@pytest.mark.parametrize("assignment", WRONG_SETS)
def test_a_wrong_setting_is_refused(assignment, folder):
    message = refused("search", "run.toml", "--out", "out", "--set", assignment)
    assert WRONG_SETS[assignment] in message
    assert folder.holds() == {"run.toml"}


def test_a_missing_run_file_is_named(folder):
    assert "absent.toml" in refused("search", "absent.toml", "--out", "out")
    assert folder.path.name in refused("search", folder.path, "--out", "out")
    assert folder.holds() == {"run.toml"}


def test_a_run_file_that_is_no_text_is_refused(folder):
    (folder.path / "run.toml").write_bytes(b"\xff\xfe\x00")
    assert "run.toml" in refused("search", "run.toml", "--out", "out")


def data_of_one_class(path):
    write_images(path, ("cat",))


def data_without_training_images(path):
    write_images(path, train=0)


def data_of_one_image(path):
    write_images(path, ("cat", "ship"), train=1, test=0)
    (path / "train/cat/0001.jpg").unlink(missing_ok=True)
    next((path / "train/cat").iterdir()).rename(path / "train/ship/other.jpg")


def data_of_damaged_images(path):
    write_images(path)
    for image in path.rglob("*.jpg"):
        image.write_bytes(image.read_bytes()[:100])


WRONG_DATA = {
    "absent": (lambda path: None, "no such file or folder"),
    "empty": (Path.mkdir, "no JPEG or PNG"),
    "a text": (lambda path: path.write_text("images"), "no archive"),
    "one class": (data_of_one_class, "one class"),
    "nothing to train on": (data_without_training_images, "no train images"),
    "damaged": (data_of_damaged_images, "could not be read"),
}


@pytest.mark.parametrize("name", WRONG_DATA)
def test_wrong_data_is_refused(name, folder):
    make, said = WRONG_DATA[name]
    data = folder.path / "data"
    make(data)
    message = refused("search", "run.toml", "--out", "out", "--data", data)
    assert str(data) in message
    assert said in message
    assert folder.holds() <= {"run.toml", "data"}


@pytest.mark.parametrize("taken", ["a file", "a folder with something in it", "below a file"])
def test_a_place_that_is_taken_is_refused(taken, folder):
    out = folder.path / "out"
    if taken == "a folder with something in it":
        out.mkdir()
        (out / "notes").write_text("mine")
    else:
        out.write_text("mine")
    place = out / "below" if taken == "below a file" else out
    assert str(out) in refused("search", "run.toml", "--out", place)
    assert (out / "notes" if out.is_dir() else out).read_text() == "mine"


def test_settings_are_laid_over_the_file_and_data_over_both(folder):
    sets = ["budget.trials=7", "strategy.name=random_search", "evaluation.data=there"]
    folder.replace("population_size = 3", "")
    run = load_run_file(folder.path / "run.toml", [*sets, "limits.macs=1e6"], "here")
    assert run.budget.trials == 7
    assert run.strategy.name == "random_search"
    assert run.evaluation.data == "here"
    assert run.limits == {"macs": 1e6}
    assert run.evaluation.image_size == 16


@pytest.mark.parametrize("name", ["a b", "é", "\U0001f642", 'a"b\\c', "a\tb", "\x7f"])
def test_data_and_checkpoint_may_have_any_name(name, folder):
    run = load_run_file(folder.path / "run.toml", (), name, Path(name))
    assert run.evaluation.data == name
    assert run.supernet.checkpoint == name


@pytest.mark.parametrize(
    ("strategy", "given", "recipe"),
    [
        ("single_path", "", "supernet"),
        ("sandwich", "", "supernet"),
        ("gumbel", "", "supernet_sgd"),
        ("gumbel", "supernet.recipe=supernet", "supernet"),
    ],
)
def test_a_supernet_is_trained_by_what_suits_its_strategy(strategy, given, recipe, folder):
    sets = [f"supernet.strategy={strategy}", *filter(None, [given])]
    run = load_run_file(folder.path / "run.toml", sets).resolved()
    assert run.supernet.recipe == recipe
    assert run.supernet.recipe_in_full().name == recipe


def test_a_value_of_set_is_toml_or_else_text(folder):
    sets = ["evaluation.data=/a b/c", "evaluation.recipe='proxy'", "strategy.mutations=1.5"]
    run = load_run_file(folder.path / "run.toml", sets)
    assert run.evaluation.data == "/a b/c"
    assert run.evaluation.recipe == "proxy"
    assert run.strategy.settings() == {"population_size": 3, "mutations": 1.5}


def test_random_search_spreads_over_a_cost_of_the_run(folder):
    folder.replace('name = "nsga2"\npopulation_size = 3', 'name = "random_search"\nbins = 2')
    run = load_run_file(folder.path / "run.toml", ["strategy.uniform_over=macs"])
    strategy = build_strategy(run, space := run.space.open(), 10)
    drawn = [cost(space.build(strategy.ask()), 16).macs for _ in range(20)]
    assert max(drawn) > 2 * min(drawn)


whole = st.integers(1, 10**6)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
runs = st.fixed_dictionaries(
    {
        "space": st.fixed_dictionaries({"name": st.sampled_from(space_names())}),
        "strategy": st.fixed_dictionaries(
            {"name": st.just("nsga2")},
            optional={
                "seed": whole,
                "population_size": st.integers(2, 1000),
                "crossover_probability": st.floats(0, 1),
            },
        ),
        "objectives": st.dictionaries(
            st.sampled_from(MEASURED + COSTS), st.sampled_from(["max", "min"]), min_size=1
        ),
        "limits": st.dictionaries(st.sampled_from(COSTS), st.floats(0, 1e12)),
        "evaluation": st.fixed_dictionaries(
            {},
            optional={
                "data": texts,
                "image_size": whole,
                "recipe": st.sampled_from(recipe_names()),
                "epochs": st.integers(10, 1000),
                "batch_size": st.integers(2, 1000),
                "precision": st.sampled_from(["auto", "bf16", "fp32"]),
                "fraction": st.floats(0, 1, exclude_min=True),
                "validation": st.floats(0, 1, exclude_min=True, exclude_max=True),
                "seed": whole,
            },
        ),
        "resources": st.fixed_dictionaries(
            {}, optional={"workers": whole, "gpus_per_trial": st.floats(0, 1)}
        ),
        "budget": st.dictionaries(st.sampled_from(["trials", "seconds"]), whole, min_size=1),
    }
)


@settings(max_examples=60, deadline=None)
@given(table=runs)
def test_a_run_survives_toml(table):
    run = parse_run_file(table, "first")
    text = run.to_toml()
    again = parse_run_file(tomllib.loads(text), "again")
    assert again == run
    assert list(again.objectives) == list(run.objectives)  # their order is the strategy's
    assert again.to_toml() == text


def test_a_space_that_has_changed_since_is_refused(folder):
    run = load_run_file(folder.path / "run.toml")
    assert run.space.fingerprint is not None
    (folder.path / "old.toml").write_text(run.to_toml())
    assert load_run_file(folder.path / "old.toml") == run
    (folder.path / "old.toml").write_text(run.to_toml().replace(run.space.fingerprint, "0" * 16))
    with pytest.raises(
        InputError, match=r"old\.toml: space\.fingerprint: .*'cifar_tiny' have chan"
    ):
        load_run_file(folder.path / "old.toml")


@pytest.mark.parametrize(
    ("cpus", "gpus", "asked", "workers"),
    [
        (8, 2, {"gpus_per_trial": 0.4}, 4),  # two on each GPU, none across
        (8, 4, {"gpus_per_trial": 0.6}, 4),
        (8, 1, {"gpus_per_trial": 0.1}, 8),
        (8, 4, {"gpus_per_trial": 2.0}, 2),
        (8, 0, {"cpus_per_trial": 3}, 2),
        (8, 0, {"workers": 3}, 3),
    ],
)
def test_workers_fit_the_machine(cpus, gpus, asked, workers):
    assert resources.workers(ResourcesSection(**asked), cpus, gpus) == workers
    with pytest.raises(InputError, match="don't fit"):
        resources.workers(ResourcesSection(**{**asked, "workers": 9}), cpus, gpus)
