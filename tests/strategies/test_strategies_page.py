"""The page about strategies does what it says."""

import re
from pathlib import Path

from strategies import strategy_names, strategy_settings

PAGE = (Path(__file__).parents[2] / "docs/strategies.md").read_text()


def test_its_example_runs_and_finds_the_front(capsys):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    assert sum(bool(line.strip()) for line in example.splitlines()) <= 15
    scope = {}
    exec(example, scope)
    printed = capsys.readouterr().out.splitlines()
    front = scope["strategy"].front()
    assert len(printed) == len(front)
    space, train = scope["space"], scope["train"]
    everything = [
        train(kernel, width, se, act)
        for kernel in (3, 5, 7)
        for width in (16, 24, 32, 48)
        for se in (False, True)
        for act in ("relu", "swish")
    ]
    assert space.size() == len(everything) == 48
    best = max(everything, key=lambda scores: scores["accuracy"])
    cheapest = min(everything, key=lambda scores: (scores["macs"], -scores["accuracy"]))
    found = [scores for _, scores in front]
    assert best in found
    assert cheapest in found


def test_it_names_every_strategy_and_every_setting_with_its_default():
    for name in strategy_names():
        assert f"### {name}" in PAGE
        text = PAGE.split(f"### {name}\n")[1].split("###")[0]
        for setting, default in strategy_settings(name).items():
            assert f"`{setting}`" in text, (name, setting)
            if isinstance(default, int | float):
                assert f"({default})" in text, (name, setting)
