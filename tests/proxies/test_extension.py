"""A proxy of the user's own is one file: that of docs/extending.md, read from there."""

import re
from pathlib import Path

import pytest
import torch

from search_space import Architecture, Block, Stage
from senet_nas import proxies
from senet_nas.nn import build_network
from senet_nas.training import seeded_network

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def own_proxy(tmp_path, monkeypatch):
    (found,) = re.findall(r"```python\n# (proxies/\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    file = tmp_path / found[0]
    file.parent.mkdir()
    file.write_text(found[1])
    monkeypatch.setattr(proxies, "__path__", list(proxies.__path__))
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path))
    return file.stem


def test_it_is_found_and_scored_by_name(own_proxy):
    assert own_proxy in proxies.proxy_names()
    architecture = Architecture(Stage((Block("conv", 4),)), (Stage((Block("basic", 4),)),))
    images, labels = torch.randn(2, 3, 8, 8), torch.tensor([0, 1])
    score = proxies.proxy_score(own_proxy, architecture, images, labels, 2)
    network = seeded_network(architecture, 2, 8, 0)
    assert score == pytest.approx(float(network(images).detach().norm()))
    assert type(network) is type(build_network(architecture, 2, 8))
