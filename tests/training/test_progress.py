import pytest

from search_space import InputError
from search_space.checks import parse_assignment
from senet_nas.training.progress import retrain_with_progress


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


def test_settings_are_laid_over_the_recipe(architecture, tmp_path):
    with pytest.raises(InputError, match=r"key 'optimiser\.name' is not known"):
        retrain_with_progress(
            architecture,
            None,
            "cifar_quick",
            ["epochs=1", "optimiser.name=adam"],
            tmp_path / "out",
            seed=0,
            device="cpu",
            image_size=None,
        )
    assert not (tmp_path / "out").exists()
