"""The page of a run: one file, what it holds, and what a browser makes of it."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import CLASSES, refused, senet_nas

from search_space import SE, Architecture, Retrofit, SearchSpace, published
from senet_nas.analysis import front_of
from senet_nas.analysis.gates import gates_of
from senet_nas.analysis.report.effects import effects
from senet_nas.analysis.report.networks import network_tables
from senet_nas.analysis.report.se_map import se_map
from senet_nas.cost import cost
from senet_nas.nn.network import build_network
from senet_nas.search import RunFolder, TrialRecord
from senet_nas.training import Checkpoint

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


def report(run, *options) -> str:
    done = senet_nas("report", run, *options)
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


def test_null_models_are_those_of_front(run):
    told = senet_nas("front", run, "--json").data()["null_models"]
    twins = [twin for twin in told["twins"] if twin["trained"] is None]
    lines = [
        {"architecture": twin["architecture"], "scores": {**twin["costs"], "accuracy": 30.0}}
        for twin in twins[:2]
    ]
    (run / "nulls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = senet_nas("front", run, "--json").data()["null_models"]
    data = Page(report(run)).data["nulls"]
    volumes = [kind["hypervolume"] for kind in data["kinds"]]
    assert volumes == [kind["hypervolume"] for kind in told["hypervolumes"].values()]
    points = [point for kind in data["kinds"] for point in kind["points"]]
    assert [point["accuracy"] for point in points if point["of"] == twins[0]["of"]] == [30.0] * 2
    untrained = {twin["architecture"] for twin in told["twins"] if twin["trained"] is None}
    assert data["untrained"] == len(untrained)
    assert data["command"] == f"senet-nas front {run} --train-null"


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


def test_what_a_supernets_scores_are_worth_is_shown_or_said(run):
    (run / "trust.json").write_text('{"verdict": "no better than random"}')
    assert Page(report(run)).data["trust"]["data"]["verdict"] == "no better than random"
    (run / "trust.json").write_text("{")
    assert "can't be read" in Page(report(run)).data["trust"]["fault"]


def test_a_name_that_is_no_text_does_not_keep_the_page_away(run):
    """As Python reads names of files that aren't UTF-8."""
    folder = RunFolder.open(run)
    record = replace(folder.trials()[0], number=999, scores=None, reason="damaged: cat\udcff.jpg")
    folder.append(record)
    assert Page(report(run)).data["failed"][-1]["reason"] == "damaged: cat?.jpg"


@pytest.fixture(scope="module")
def gates(tmp_path_factory, images):
    """What `senet-nas gates --out` leaves of an untrained network."""
    torch.manual_seed(0)
    architecture, third = published("se_cifar_resnet20"), (0.3, 0.3, 0.3)
    weights = build_network(architecture, len(CLASSES), 32).state_dict()
    checkpoint = Checkpoint(architecture, weights, CLASSES, third, third, 32)
    return gates_of(checkpoint, str(images), losses=()).save(tmp_path_factory.mktemp("gates"))


def test_gates_that_are_given_are_drawn_block_by_block(run, gates):
    (network,) = Page(report(run, "--gates", gates.parent)).data["gates"]
    written = json.loads(gates.read_text())
    assert network["classes"] == list(CLASSES)
    for block, whole in zip(network["blocks"], written["blocks"], strict=True):
        statistics = whole["statistics"]
        assert block["path"] + ".se" == whole["path"]
        assert np.allclose(block["class_mean"], statistics["class_mean"], atol=6e-4)
        assert len(block["class_deviation"]) == len(CLASSES)
        assert sum(block["shares"]) == pytest.approx(1, abs=1e-3)
        assert block["lost"] == [None, None]


def test_gates_of_the_runs_folder_are_shown_or_said(run, gates):
    shutil.copy(gates, run / "gates.json")
    assert Page(report(run)).data["gates"][0]["images"] == 48
    (run / "gates.json").write_text('{"images": 3}')
    assert "can't be read" in Page(report(run)).data["gates"][0]["fault"]
    assert "gates.json" in refused("report", run, "--gates", run)
    assert "No such file" in refused("report", run, "--gates", run / "absent.json")


@pytest.fixture
def random(run, tmp_path):
    """Half of the same trials, as if random search had proposed them."""
    path = Path(shutil.copytree(run, tmp_path / "random"))
    text = (path / "run.toml").read_text()
    strategy = re.search(r"\[strategy\]\n(?:.+\n)+", text)[0]
    changed = text.replace(strategy, '[strategy]\nname = "random_search"\nseed = 0\n')
    (path / "run.toml").write_text(changed)
    lines = (path / "trials.jsonl").read_text().splitlines(keepends=True)
    (path / "trials.jsonl").write_text("".join(lines[: len(lines) // 2]))
    return path


def test_other_runs_stand_beside_to_one_reference_point(run, random):
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (run / "trials.jsonl").write_text("".join(lines[20:]))
    data = Page(report(run, "--random", random, "--beside", random)).data
    told = senet_nas("front", run, random, "--random", random, "--json").data()
    assert data["reference"] == told[str(run)]["reference"] == told[str(random)]["reference"]
    assert data["hypervolume"] == told[str(run)]["hypervolume"]
    assert [peer["kind"] for peer in data["peers"]] == ["beside", "random"]
    for peer in data["peers"]:
        assert peer["hypervolume"] == told[str(random)]["hypervolume"]
        assert peer["volume"]["volume"][-1] == pytest.approx(peer["hypervolume"])
        assert len(peer["front"]) == len(told[str(random)]["points"])
        assert list(peer["otherwise"]) == []
    equal = told[str(run)]["null_models"]["random"]
    assert data["peers"][1]["equal"]["used"] == equal["used"]
    assert data["peers"][1]["equal"]["hypervolume"] == equal["front"]["hypervolume"]
    assert "not random search" in refused("report", run, "--random", run)


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


def test_what_a_user_can_mend_is_one_line(run, tmp_path):
    assert "run.toml" in refused("report", tmp_path)
    assert "No such file" in refused("report", run, "--out", tmp_path / "no" / "page.html")


def test_ten_thousand_trials_stay_below_ten_megabytes(run):
    folder = RunFolder.open(run)
    records = folder.trials()
    some = [replace(records[n % len(records)], number=n) for n in range(10_000)]
    folder.trials_file.write_text("".join(record.to_line() for record in some))
    assert len(report(run).encode()) < 10_000_000


def se_space(places):
    choices = {f"se{n}": (None, SE(r=4), SE(r=8)) for n in range(places)} | {"kernel": (3, 5)}
    return SearchSpace.from_choices(choices)


def trials_of(space, number, effect, seed=0):
    """Trials whose accuracy is `effect` of their choices, and some noise."""
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(number)]
    scored = [{"accuracy": effect(space.choices(c)) + rng.normal(0, 0.5)} for c in drawn]
    return [TrialRecord(n, c, "", s) for n, (c, s) in enumerate(zip(drawn, scored, strict=True))]


def test_effects_are_those_that_the_trials_were_made_with():
    space = se_space(3)
    made = trials_of(space, 400, lambda c: 50 + 4 * (c["se0"] is not None) - 2 * (c["kernel"] == 5))
    (model,) = effects(space, made)
    assert (model["joint"], model["trials"]) == (True, 400)
    true = {"se0": 4, "se1": 0, "se2": 0}
    for row in model["rows"]:
        sign = 1 if row["choice"] == "5" else -1
        expected = true.get(row["decision"], 2 * -sign)
        assert abs(row["effect"] - expected) < 2 * row["half_width"] < 0.5


def test_too_few_trials_for_one_model_are_said():
    space = se_space(9)
    (model,) = effects(space, trials_of(space, 8, lambda c: 50.0))
    assert not model["joint"]
    assert all(row["trials"] <= 8 for row in model["rows"])
    assert effects(space, trials_of(space, 1, lambda c: 50.0)) == []


def test_the_se_map_and_tables_of_a_retrofitted_network():
    source = "torchvision:resnet18"
    networks = [
        Retrofit.of({"layer1.0": SE(r=4)}, source),
        Retrofit.of({"layer1.0": None, "layer2.0": SE(r=8)}, source),
    ]
    found = se_map(networks, {1})
    assert [place["place"] for place in found["places"]] == ["layer1.0", "layer2.0"]
    assert [place["all"][0] for place in found["places"]] == [1, 1]
    assert [sum(place["front"]) for place in found["places"]] == [1, 1]
    tables = network_tables(networks, [1], 32, 10)
    for net, network in zip(tables["networks"], networks, strict=True):
        params = sum(tables["parts"][part][1] for part in [net["base"], *net["gates"]])
        assert params == cost(network, 32, 10).params


@in_browser
def test_a_browser_draws_the_network_that_was_asked_for(run, tmp_path):
    report(run)
    folder = RunFolder.open(run)
    record = folder.trials()[3]
    dom, console = in_chromium(run / "report.html", tmp_path, fragment=f"#trial={record.number}")
    assert console == []
    assert 'data-ready="' in dom
    page = Page(dom)
    drawn = Architecture.from_json(page.texts["json"])
    assert drawn == folder.run_file().space.open().build(record.candidate)
    assert f"--arch {record.number} " in page.texts["commands"]


@in_browser
def test_a_browser_shows_a_run_without_trials(run, tmp_path):
    (run / "trials.jsonl").unlink()
    report(run)
    dom, console = in_chromium(run / "report.html", tmp_path)
    assert (console, 'data-ready="' in dom) == ([], True)


@in_browser
def test_a_browser_draws_every_plot(run, gates, random, tmp_path):
    folder = RunFolder.open(run)
    records = [replace(r, parents=(r.number - 1,) if r.number else ()) for r in folder.trials()]
    folder.trials_file.write_text("".join(record.to_line() for record in records))
    report(run, "--gates", gates, "--random", random)
    dom, console = in_chromium(run / "report.html", tmp_path)
    assert console == []
    plots = re.findall(r'class="plot[^"]* js-plotly-plot" id="([a-z-]+)"', dom)
    channels, *bars = ("gates-channels", "gates-shares", "gates-ends", "gates-lost")
    assert plots == [
        *("front-plot", "genealogy-plot", channels, *bars, "volume-plot", "curves-plot")
    ]
    knee = next(point for point in front_of(records, folder.objectives()).points if point.is_knee)
    assert f"Trial {knee.number}</b> was made from <button" in dom
    assert f"Ancestors: {knee.number}, generations back: {knee.number}." in dom
