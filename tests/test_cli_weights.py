"""Weights brought in and ablations run, by the command line."""

import pytest
import torch
import torchvision
from commands import refused, senet_nas
from safetensors.torch import save_file

from search_space import published
from senet_nas import cost, load

STUDY = """
title = "Ratio"
base = "none"
network = "se_cifar_resnet20"
data = "{images}"
image_size = 16
recipe = "proxy"
recipe_settings.epochs = 1
recipe_settings.precision = "fp32"
seeds = [0, 1]

[full_size]
network = "se_resnet50"

[variants.none]
se = false

[variants.r4]
se.r = 4
"""


def test_a_file_of_weights_becomes_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    theirs = torchvision.models.mobilenet_v3_small(num_classes=7).eval()
    save_file(theirs.state_dict(), "theirs.safetensors")
    arguments = ("import", "torchvision:mobilenet_v3_small", "--weights", "theirs.safetensors")
    data = senet_nas(*arguments, "--out", "ours.safetensors", "--json").data()
    assert data["classes"] == 7
    checkpoint = load("ours.safetensors")
    assert checkpoint.architecture == published("mobilenet_v3_small")
    assert data["params"] == cost(checkpoint.architecture, 224, 7).params
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(checkpoint.network()(x), theirs(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("timm:resnet5",), "timm network 'resnet5' is not known"),
        (("resnet50",), "must be timm:NAME"),
        (("torchvision:resnet18", "--weights", "none.pth"), "none.pth: no such file"),
        (("torchvision:convnext_tiny", "--weights", "random"), "ConvNeXt"),
    ],
)
def test_what_cannot_be_brought_in_leaves_no_file(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("import", *arguments, "--out", "out.safetensors")
    assert not list(tmp_path.iterdir())


def test_an_ablation_prints_its_table(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.format(images=images))
    planned = senet_nas("ablate", "study.toml", "--dry-run", "--json").data()
    assert planned["estimate"]["trainings"] == 4
    assert {entry.name for entry in tmp_path.iterdir()} == {"study.toml"}
    done = senet_nas("ablate", "study.toml", "--json")
    table = done.data()
    assert [row["variant"] for row in table["variants"]] == ["none", "r4"]
    assert all(len(row["top1_error"]["by_seed"]) == 2 for row in table["variants"])
    assert table["variants"][1]["difference_to_base"]["pairs"] == 2
    again = senet_nas("ablate", "study.toml", "--json")
    assert again.data() == table
    shown = senet_nas("ablate", "study.toml").stdout
    assert "beside the paper's figures" in shown


def test_an_unknown_key_of_an_ablation_is_said(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.format(images=images) + "placement = 'pre'\n")
    assert "variants.r4: key 'placement' is not known" in refused("ablate", "study.toml")
