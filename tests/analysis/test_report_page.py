"""The page of a run: one file, what it holds, and what a browser makes of it."""

import builtins
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

import pytest
from commands import refused, senet_nas

from search_space import Architecture
from senet_nas.analysis import front_of
from senet_nas.search import RunFolder, TrialRecord

pytest.importorskip("plotly")

FOUND = Path(__file__).parents[2] / "runs/found/cifar10_nsga2"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


class Page(HTMLParser):
    """The ids, what is loaded from elsewhere, and the texts of elements with an id."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.loaded, self.texts, self._open = set(), [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self._open = given.get("id")
        self.ids |= {given["id"]} if "id" in given else set()
        for name in ("src", "href"):
            if name in given and not given[name].startswith(("#", "data:")):
                self.loaded.append(given[name])

    def handle_data(self, text):
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + text

    @property
    def data(self):
        return json.loads(self.texts["data"])


@pytest.fixture
def run(tmp_path):
    """A copy of a real run: ten minutes on CIFAR-10."""
    return Path(shutil.copytree(FOUND, tmp_path / "run"))


def report(run) -> str:
    done = senet_nas("report", run)
    assert (done.status, done.stderr) == (0, ""), done
    return (run / "report.html").read_text(encoding="utf-8")


def in_chromium(file, tmp_path, *, fragment="", width=1200):
    """The page as a browser leaves it, and what it wrote to its console."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    command += ["--virtual-time-budget=5000", "--dump-dom", f"file://{file}{fragment}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_it_is_one_file_that_loads_nothing(run):
    text = report(run)
    assert Page(text).loaded == []
    assert {"front", "network", "se-map", "volume", "effects", "failed"} <= Page(text).ids
    assert len(text) < 10_000_000
    assert "{{" not in text.split("<script>")[0]


def test_its_data_are_the_runs(run):
    data, folder = Page(report(run)).data, RunFolder.open(run)
    records = folder.trials()
    front = front_of(records, folder.objectives())
    trials = data["trials"]
    assert trials["number"] == [record.number for record in records]
    for row, record in enumerate(records):
        for name, values in trials["scores"].items():
            assert values[row] == pytest.approx(record.scores[name], rel=1e-5)
    assert [trials["number"][row] for row in data["front"]] == [p.number for p in front.points]
    assert data["reference"] == pytest.approx(front.reference)
    volume = data["volume"]["volume"]
    assert volume == sorted(volume)
    assert volume[-1] == pytest.approx(front.hypervolume) == pytest.approx(data["hypervolume"])
    assert data["volume"]["device_seconds"][-1] == pytest.approx(
        sum(record.train_seconds for record in records), abs=0.2
    )


def test_costs_of_blocks_add_up_to_those_of_the_network(run):
    data = Page(report(run)).data
    nets, scores = data["networks"], data["trials"]["scores"]
    for row, net in enumerate(nets["networks"]):
        ids = [*net["stem"], *chain(*net["stages"]), *net["tail"], net["classifier"]]
        for column, name in enumerate(("params", "macs", "activations"), start=1):
            assert sum(nets["parts"][i][column] for i in ids) == scores[name][row]


def test_the_se_map_counts_networks(run):
    data = Page(report(run)).data
    found, folder = data["se_map"], RunFolder.open(run)
    space = folder.run_file().space.open()
    built = [space.build(record.candidate) for record in folder.trials()]
    blocks = [block for network in built for _, block in network.blocks()]
    standing = [n for place in found["places"] for n in place["all"][1:]]
    assert sum(standing) == sum(block.se is not None for block in blocks)
    for place in found["places"]:
        assert all(a >= b for a, b in zip(place["all"], place["front"], strict=True))


def test_texts_of_a_run_stay_texts(run):
    bad = "</script><img src=x onerror=alert(1)><!-- & {{DATA}}"
    records = RunFolder.open(run).trials()
    failed = TrialRecord(99, records[0].candidate, "f" * 16, None, bad)
    RunFolder.open(run).append(failed)
    text = report(run)
    assert bad not in text
    assert Page(text).data["failed"][0]["reason"] == bad
    assert re.findall(r"<img", text.split('id="data"')[1].split("</script>")[0]) == []


def test_what_else_the_folder_holds_is_shown_or_said(run):
    (run / "trust.json").write_text('{"verdict": "no better than random"}')
    (run / "gates.json").write_text("{")
    beside = Page(report(run)).data["beside"]
    assert beside["trust.json"]["data"]["verdict"] == "no better than random"
    assert "can't be read" in beside["gates.json"]["fault"]


def test_a_run_whose_space_has_changed_is_shown_without_networks(run):
    file = run / "run.toml"
    changed = re.sub('fingerprint = ".*"', 'fingerprint = "0123456789abcdef"', file.read_text())
    file.write_text(changed)
    data = Page(report(run)).data
    assert data["fault"]
    assert data["front"]
    assert "networks" not in data


def test_a_run_without_a_finished_trial_has_a_page(run):
    (run / "trials.jsonl").unlink()
    data = Page(report(run)).data
    assert (data["trials"]["number"], data["front"]) == ([], [])


def test_what_a_user_can_mend_is_one_line(run, tmp_path, monkeypatch):
    assert "run.toml" in refused("report", tmp_path)
    assert "No such file" in refused("report", run, "--out", tmp_path / "no" / "page.html")
    real = builtins.__import__

    def without_plotly(name, *rest, **more):
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    assert "senet-nas[report]" in refused("report", run)
    assert not (run / "report.html").exists()


@in_browser
def test_a_browser_draws_the_network_that_was_asked_for(run, tmp_path):
    report(run)
    folder = RunFolder.open(run)
    record = folder.trials()[3]
    dom, console = in_chromium(run / "report.html", tmp_path, fragment=f"#trial={record.number}")
    assert console == []
    assert 'data-ready="yes"' in dom
    page = Page(dom)
    drawn = Architecture.from_json(page.texts["json"])
    assert drawn == folder.run_file().space.open().build(record.candidate)
    assert f"--arch {record.number} " in page.texts["commands"]


@in_browser
def test_a_browser_shows_a_run_without_trials(run, tmp_path):
    (run / "trials.jsonl").unlink()
    report(run)
    dom, console = in_chromium(run / "report.html", tmp_path)
    assert (console, 'data-ready="yes"' in dom) == ([], True)
