"""Published networks as values: their names, and their twins with and without SE."""

import pytest

from search_space import SE, published, published_names
from search_space.published import without_se


def gates(architecture):
    return [block.se for _, block in architecture.blocks()]


def test_every_network_has_a_twin_with_or_without_se():
    """X without SE has se_X, and X with SE of its own has no_se_X."""
    names = set(published_names())
    for name in names:
        if name.startswith(("se_", "no_se_")):
            continue
        has_se = any(gates(published(name)))
        assert (f"no_se_{name}" in names) == has_se, name
        assert (f"se_{name}" in names) != has_se, name


@pytest.mark.parametrize("name", [name for name in published_names() if "se_" in name[:6]])
def test_twins_differ_in_se_alone(name):
    """A network with SE, and the one without that its name says."""
    if name.startswith("no_se_"):
        plain, gated = published(name), published(name.removeprefix("no_se_"))
    else:
        plain, gated = published(name.removeprefix("se_")), published(name)
    assert not any(gates(plain))
    assert any(gates(gated))
    assert without_se(gated) == plain


def test_regnety_is_regnetx_with_se():
    assert published("se_regnetx_200mf") == published("regnety_200mf")
    assert published("no_se_regnety_200mf") == published("regnetx_200mf")


def test_se_stands_in_every_block_of_the_stages():
    for name in ("se_wrn_16_8", "se_preresnet164", "se_mobilenet_v1"):
        values = [block.se for stage in published(name).stages for block in stage.blocks]
        assert {se.r for se in values} == {16}
    vgg = published("se_vgg16")
    convolutions = [block for _, block in vgg.blocks() if block.cell == "conv"]
    assert [block.se for block in convolutions] == [SE(r=16)] * 13
