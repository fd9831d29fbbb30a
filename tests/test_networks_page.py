"""docs/networks.md lists every published network with what it costs."""

import re
from pathlib import Path

import pytest

from search_space import published, published_names
from senet_nas import cost

PAGE = (Path(__file__).parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
COSTED = re.compile(r"`(\w+)` \| ([\d,]+) \| ([\d,]+) \|")
SETTING = re.compile(r"^## (.+) \((\d+) pixels, (\d+) classes\)$", re.MULTILINE)


def sections():
    """Title, image size, number of classes, and (name, parameters, MACs) of each network."""
    _, *parts = SETTING.split(PAGE)
    for title, size, classes, text in zip(*[iter(parts)] * 4, strict=True):
        rows = [
            (n, *(int(f.replace(",", "")) for f in given)) for n, *given in COSTED.findall(text)
        ]
        yield pytest.param(int(size), int(classes), rows, id=title)


@pytest.mark.parametrize(("size", "classes", "rows"), sections())
def test_costs_are_as_the_page_has_them(size, classes, rows):
    found = [(name, cost(published(name), size, classes)) for name, _, _ in rows]
    assert [(name, one.params, one.macs) for name, one in found] == rows
    assert rows


def test_every_published_network_has_a_row():
    listed = [name for name, _, _ in COSTED.findall(PAGE)]
    assert sorted(listed) == published_names()
