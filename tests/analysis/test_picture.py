"""Pictures of fronts: what they show, and what can't be drawn."""

import re
import shutil

import pytest
from commands import TRIALS, refused, senet_nas

from senet_nas.analysis.front import front_of
from senet_nas.search import RunFolder


def test_an_svg_shows_every_trial_and_the_front(finished, tmp_path):
    path = tmp_path / "front.svg"
    assert senet_nas("front", finished, "--picture", path).status == 0
    text = path.read_text()
    folder = RunFolder.open(finished)
    front = front_of(folder.trials(), folder.run_file().objectives)
    assert f"{TRIALS} trials" in text
    assert f"front: {len(front.points)} points" in text
    assert "MACs (M)" in text
    assert "validation accuracy (%)" in text
    drawn = re.findall(r"<use [^>]*xlink:href", text)
    assert len(drawn) >= TRIALS + len(front.points) + 1  # trials, front, knee


def test_the_same_run_gives_the_same_svg(finished, tmp_path):
    texts = []
    for name in ("a.svg", "b.svg"):
        senet_nas("front", finished, "--picture", tmp_path / name)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]


def test_a_png_is_one(finished, tmp_path):
    assert senet_nas("front", finished, "--picture", tmp_path / "front.png").status == 0
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["front.gif", "front"])
def test_other_endings_are_refused(finished, tmp_path, name):
    assert ".svg, .png, .pdf" in refused("front", finished, "--picture", tmp_path / name)
    assert not (tmp_path / name).exists()


def test_runs_with_other_objectives_share_no_picture(finished, tmp_path):
    other = shutil.copytree(finished, tmp_path / "other")
    text = (other / "run.toml").read_text()
    assert 'macs = "min"' in text
    (other / "run.toml").write_text(text.replace('macs = "min"', 'params = "min"'))
    message = refused("front", finished, other, "--picture", tmp_path / "both.svg")
    assert "the same two objectives" in message
