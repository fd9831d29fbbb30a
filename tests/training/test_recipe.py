import tomllib
from dataclasses import fields

import pytest

from search_space import InputError
from senet_nas.training import Recipe, load_recipe, recipe_from_data, recipe_names
from senet_nas.training.rates import learning_rate
from senet_nas.training.recipe_files import recipe_file

MINIMAL = {"epochs": 10, "batch_size": 8, "learning_rate": 0.4}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_it_is_for_and_survives_a_round_trip(name):
    text = recipe_file(name).read_text(encoding="utf-8")
    assert text.startswith("# ") and len(text.partition("\nepochs")[0]) > 80
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_from_data("again", recipe.to_data()) == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_warms_up_to_its_peak_and_ends_near_zero(name):
    recipe = load_recipe(name)
    rates = [learning_rate(recipe, step, 20) for step in range(20 * recipe.epochs)]
    # Where the schedule runs beneath the warm-up, its peak is passed before it is reached.
    least = 1.0 if recipe.warmup_prefix or not recipe.warmup_epochs else 0.97
    assert least * recipe.learning_rate <= max(rates) <= recipe.learning_rate
    assert rates[0] <= (0.101 if recipe.warmup_epochs else 1) * max(rates)
    assert rates[-1] < 0.01 * max(rates)
    assert rates.index(max(rates)) <= 20 * recipe.warmup_epochs


PROMISED = {
    *("cifar_quick", "cifar_fast", "cifar_200ep", "senet2018", "senet2018_mobile", "senet154_2017"),
    *("rsb_a1", "rsb_a2", "rsb_a3", "mobilenetv3", "efficientnet", "torchvision_v2"),
    "pycls_100ep",
}


def test_the_promised_recipes_are_there():
    assert set(recipe_names()) >= PROMISED


def applies(key, recipe):
    """Whether a setting has a meaning beside the others."""
    unless = {
        ("epsilon", "square_momentum"): recipe.optimiser == "sgd",
        ("nesterov",): recipe.optimiser != "sgd",
        ("decay_rate",): recipe.schedule not in ("step", "exponential"),
        ("decay_epochs",): recipe.schedule not in ("step", "exponential") or recipe.milestones,
        ("milestones",): not recipe.milestones,
        ("warmup_start", "warmup_prefix"): not recipe.warmup_epochs,
        ("ema_every",): not recipe.ema_decay,
        ("target_threshold",): recipe.loss != "bce",
        ("erase_mode",): not recipe.erase_probability,
        ("crop_scale", "crop_ratio", "interpolation"): recipe.crop != "resized",
        ("crop_padding", "padding"): recipe.crop != "padded",
        ("image_size", "test_image_size", "dropout", "name"): getattr(recipe, key) is None,
    }
    return not any(key in keys and void for keys, void in unless.items())


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_recipe_leaves_nothing_to_defaults(name):
    stated, recipe = tomllib.loads(recipe_file(name).read_text("utf-8")), load_recipe(name)
    wanted = {entry.name for entry in fields(Recipe) if entry.name != "name"}
    assert set(stated) == {key for key in wanted if applies(key, recipe)}


@pytest.mark.parametrize(
    ("schedule", "half_way"), [("cosine", 0.2), ("linear", 0.2), ("constant", 0.4)]
)
def test_schedules(schedule, half_way):
    recipe = Recipe(**MINIMAL, schedule=schedule)
    assert learning_rate(recipe, 0, 6) == pytest.approx(0.4)
    assert learning_rate(recipe, 30, 6) == pytest.approx(half_way)
    warm = Recipe(**MINIMAL, schedule=schedule, warmup_epochs=0.5)
    rates = [learning_rate(warm, step, 8) for step in range(5)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_overrides_replace_the_files_values():
    recipe = load_recipe(
        "cifar_quick", {"epochs": 7, "flip": False, "schedule": "linear", "cutout": 3}
    )
    assert (recipe.epochs, recipe.flip, recipe.schedule, recipe.cutout) == (7, False, "linear", 3)
    assert recipe.name == "cifar_quick"


@pytest.mark.parametrize(
    ("overrides", "warmup"),
    [
        ({"epochs": 2}, 0.2),
        ({"epochs": 10}, 1.0),
        ({"epochs": 300}, 3),
        ({"epochs": 2, "warmup_epochs": 1}, 1),
        ({"batch_size": 8}, 3),
    ],
)
def test_a_shortened_training_keeps_its_share_of_warm_up(overrides, warmup):
    whole = load_recipe("cifar_quick")
    assert (whole.epochs, whole.warmup_epochs) == (30, 3)
    recipe = load_recipe("cifar_quick", overrides)
    assert recipe.warmup_epochs == pytest.approx(warmup)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": 1}, r"key 'epoch' is not known; did you mean 'epochs'.*allowed: auto_augment"),
        ({"epochs": "many"}, r"recipe.epochs must be a whole number of at least 1, not 'many'"),
        ({"epochs": 0}, "recipe.epochs"),
        ({"epochs": True}, "recipe.epochs"),
        ({"epochs": "2"}, "recipe.epochs"),
        ({"batch_size": 1}, "recipe.batch_size"),
        ({"weight_decay": 10**400}, "recipe.weight_decay must be a number below"),
        ({"learning_rate": True}, "recipe.learning_rate must be a number"),
        ({"momentum": 1.0}, "recipe.momentum must be below 1"),
        ({"schedule": "cosin"}, "recipe.schedule.*cosine, linear, constant"),
        ({"precision": "fp16"}, "recipe.precision.*auto, bf16, fp32"),
        ({"optimiser": "adam"}, "recipe.optimiser"),
        ({"flip": 1}, "recipe.flip must be true or false"),
        ({"padding": "wrap"}, "recipe.padding.*reflect, zero"),
        ({"crop_padding": -1}, "recipe.crop_padding"),
        ({"warmup_epochs": 1000}, "recipe.warmup_epochs must be at most epochs"),
        ({"momentum": 0}, "recipe.nesterov"),
    ],
)
def test_mistakes_name_the_file_the_key_and_what_is_allowed(overrides, message):
    with pytest.raises(InputError, match=message) as raised:
        load_recipe("cifar_quick", overrides)
    assert "cifar_quick" in str(raised.value) and "\n" not in str(raised.value)


def test_recipes_from_files_and_extension_folders(tmp_path, monkeypatch):
    file = tmp_path / "recipes/mine.toml"
    file.parent.mkdir()
    file.write_text("epochs = 2\nbatch_size = 4\nlearning_rate = 1\n")
    assert load_recipe(str(file)).epochs == load_recipe(file).epochs == 2
    with pytest.raises(InputError, match=r"recipe 'mine' is not known.*cifar_quick"):
        load_recipe("mine")
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path))
    assert "mine" in recipe_names() and load_recipe("mine").learning_rate == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "not TOML"),
        ("epochs = " + "9" * 5000, "not TOML"),
        ("epochs = " + "[" * 100_000, "not (TOML|a recipe)"),
        ("epochs = 2", "the key 'batch_size' is missing"),
        (None, "No such"),
    ],
)
def test_files_that_are_no_recipes(tmp_path, text, message):
    file = tmp_path / "x.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        load_recipe(file)
    assert "x.toml" in str(raised.value)
