import io
from dataclasses import replace

import pytest

from search_space import InputError
from search_space.checks import parse_assignment
from senet_nas.training.progress import TrainingProgress
from senet_nas.training.recipe_files import recipe_of_assignments
from senet_nas.training.state import EpochReport, StepReport


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("epochs=30", ["epochs"], 30),
        ("space.name = cifar_tiny", ["space", "name"], "cifar_tiny"),
        ('a.b.c="30"', ["a", "b", "c"], "30"),
        ("flip=false", ["flip"], False),
        ("limits={macs = 1e6}", ["limits"], {"macs": 1e6}),
        ("data=x=y", ["data"], "x=y"),
        ("data=", ["data"], ""),
        ("epochs=1\nflip=false", ["epochs"], "1\nflip=false"),
        ("epochs=" + "9" * 5000, ["epochs"], "9" * 5000),
        ("data=" + "[" * 100_000, ["data"], "[" * 100_000),
    ],
)
def test_an_assignment_is_a_path_and_what_toml_reads_or_the_text(text, path, value):
    assert parse_assignment(text) == (path, value)


@pytest.mark.parametrize("text", ["epochs", "=3", "", "a..b=3", ".a=3"])
def test_what_is_no_assignment(text):
    with pytest.raises(InputError, match=r"^--set .*: write it as key=value$"):
        parse_assignment(text)


def test_settings_are_laid_over_the_recipe():
    recipe, note = recipe_of_assignments("cifar_quick", ["epochs=1", "cutout=3"])
    assert (recipe.epochs, recipe.cutout, recipe.name, note) == (1, 3, "cifar_quick", None)
    with pytest.raises(InputError, match=r"key 'optimiser\.name' is not known"):
        recipe_of_assignments("cifar_quick", ["epochs=1", "optimiser.name=adam"])


def test_a_rate_is_scaled_with_the_batch_only_when_asked_and_never_in_silence():
    sets = ["batch_size=256", "warmup_start=0.001"]
    recipe, note = recipe_of_assignments("torchvision_v2", sets)
    assert recipe.learning_rate == 0.5
    assert note == (
        "batch_size 256 in place of 1024: learning_rate stays 0.5; --scale-rate would make it 0.125"
    )
    recipe, note = recipe_of_assignments("torchvision_v2", sets, scale_rate=True)
    assert (recipe.learning_rate, recipe.warmup_start) == (0.125, 0.001)
    assert note == "batch_size 256 in place of 1024: learning_rate 0.5 is scaled to 0.125"
    recipe, note = recipe_of_assignments("torchvision_v2", [*sets, "learning_rate=0.3"])
    assert (recipe.learning_rate, note) == (0.3, None)
    for wrong in ([], [*sets, "learning_rate=0.3"]):
        with pytest.raises(InputError, match="--scale-rate"):
            recipe_of_assignments("torchvision_v2", wrong, scale_rate=True)


def steps(report, seconds):
    return replace(report, step=report.step + 1, images=report.images + 32, seconds=seconds)


def test_outside_of_a_terminal_there_is_a_line_an_epoch_and_one_a_minute(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    report = StepReport(1, 2, 0, 1000, 0, 0.1, 0.0, loss=2.5)
    with TrainingProgress("se_resnet50") as progress:
        for second in range(1, 101):
            now[0] = float(second)
            report = steps(report, float(second))
            progress.after_step(report)
        progress.after_epoch(EpochReport(1, 2, 1.5, 0.1, 1000.0, 32.0))
        progress.after_epoch(EpochReport(2, 2, 1.25, 0.1, 1000.0, 32.0))
    assert capsys.readouterr().err.splitlines() == [
        # The first after ten seconds of steps: how long it will take.
        "se_resnet50: epoch 1/2 · step 11/1000 · loss 2.500 · 32 images/s · 33:09 left",
        "se_resnet50: epoch 1/2 · step 71/1000 · loss 2.500 · 32 images/s · 32:09 left",
        "se_resnet50: epoch 1/2 · loss 1.500 · 32 images/s · 16:40 left",
        "se_resnet50: epoch 2/2 · loss 1.250 · 32 images/s · 0:00 left",
    ]


def test_in_a_terminal_there_is_a_bar(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("COLUMNS", "160")
    with TrainingProgress("se_resnet50") as progress:
        progress.after_step(StepReport(1, 2, 3, 10, 96, 0.1, 2.0, loss=2.5))
        progress.after_step(StepReport(1, 2, 4, 10, 128, 0.1, 2.0))
        progress.after_epoch(EpochReport(1, 2, 1.5, 0.1, 1000.0, 32.0))
    text = stream.getvalue()
    assert "se_resnet50" in text and "step 4/10 · loss 2.500 · 64 images/s" in text
