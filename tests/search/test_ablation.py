"""An ablation trains its variants in pairs, goes on after a kill, and refuses what doesn't fit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import lines, wait_for

from search_space import SE, Architecture, Block, InputError, Stage, published
from senet_nas.nn import build_network
from senet_nas.search.ablation import AblationProgress, ablate, estimate, load_ablation, results
from senet_nas.search.ablation.pairing import paired_network
from senet_nas.search.ablation.variants import Changes, changed
from senet_nas.training import EpochReport, load_checkpoint, retrain, seeded_network

RUNS = Path(__file__).parents[2] / "runs" / "ablations"
STUDIES = ("conv3x3", "excitation", "integration", "no_squeeze", "ratio", "squeeze", "stages")
SMALL = """
title = "SE or not"
base = "none"
network = "{network}"
data = "{images}"
image_size = 16
recipe_settings = {{ epochs = 3, batch_size = 16, precision = "fp32", warmup_epochs = 0.0 }}
seeds = [0, 1]

[full_size]
network = "se_cifar_resnet20"
image_size = 32
classes = 10

[variants.none]
se = false

[variants.se]
se.r = 4
"""


class Recorder:
    """Progress that keeps what it is told."""

    def __init__(self):
        self.started, self.epochs, self.finished = None, [], []

    def start(self, trainings, finished, epochs):
        self.started = (trainings, finished, epochs)

    def epoch(self, variant, seed, report):
        self.epochs.append((variant, seed, report.epoch))

    def finish(self, outcome):
        self.finished.append((outcome.variant, outcome.seed))


@pytest.fixture(scope="module")
def file(tmp_path_factory, images):
    """The definition of an ablation of seconds."""
    folder = tmp_path_factory.mktemp("ablation")
    block = Block("basic", 16, stride=2, se=SE())
    network = Architecture(Stage((Block("conv", 8, stride=2),)), (Stage((block,)),))
    (folder / "network.json").write_text(network.to_json())
    text = SMALL.format(network=folder / "network.json", images=images)
    (folder / "small.toml").write_text(text)
    return folder / "small.toml"


@pytest.fixture(scope="module")
def uninterrupted(file, tmp_path_factory):
    """Its folder, trained to the end, and what its progress was told."""
    out, told = tmp_path_factory.mktemp("whole") / "out", Recorder()
    ablate(load_ablation(file), out, told, device="cpu")
    return out, told


def assert_same_trainings(out, other):
    def figures(folder):
        return [(o.variant, o.seed, o.result.test_loss) for o in results(folder).outcomes]

    assert figures(out) == figures(other)
    for path in sorted(out.rglob("checkpoint.safetensors")):
        weights = load_checkpoint(path).weights
        same = load_checkpoint(other / path.relative_to(out)).weights
        assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_seed_by_seed_so_that_pairs_are_complete_early(uninterrupted):
    out, told = uninterrupted
    order = [("none", 0), ("se", 0), ("none", 1), ("se", 1)]
    assert told.started == (4, 0, 3)
    assert told.finished == order
    assert told.epochs == [(*training, epoch) for training in order for epoch in (1, 2, 3)]
    assert [(o.variant, o.seed) for o in results(out).outcomes] == order
    assert {entry.name for entry in out.iterdir()} == {".lock", "ablation.toml", "none", "se"}


def test_a_variant_is_trained_as_retraining_trains_it(file, uninterrupted, tmp_path):
    ablation = load_ablation(file)
    alone = retrain(
        ablation.trained("none"),
        ablation.data,
        ablation.resolved_recipe(),
        tmp_path / "alone",
        seed=1,
        image_size=16,
    )
    found = next(o.result for o in results(uninterrupted[0]).outcomes if o.seed == 1)
    assert (found.test_loss, found.top1) == (alone.test_loss, alone.top1)


def test_a_finished_one_is_not_trained_again(file, uninterrupted):
    out, told = uninterrupted[0], Recorder()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("result.json")}
    found = ablate(load_ablation(file), out, told, device="cpu")
    assert (told.started, told.epochs, told.finished) == ((4, 4, 3), [], [])
    assert {path: path.stat().st_mtime_ns for path in out.rglob("result.json")} == before
    assert found == results(out)


SCRIPT = """
import sys, torch
from pathlib import Path
from senet_nas.search.ablation import AblationProgress, ablate, load_ablation
torch.set_num_threads(1)
with AblationProgress() as progress:
    ablate(load_ablation(Path(sys.argv[1])), Path(sys.argv[2]), progress, device="cpu")
"""


def test_killed_it_finds_what_it_would_have_found(file, uninterrupted, tmp_path, capsys):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(file), str(out)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    wait_for(lambda: lines(out / "se/seed-0/metrics.jsonl") >= 1)
    process.kill()
    assert process.wait() == -signal.SIGKILL  # else it was over, and nothing is tested
    finished = len(results(out).outcomes)
    assert 1 <= finished < 4
    with AblationProgress() as progress:
        ablate(load_ablation(file), out, progress, device="cpu")
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"going on after {finished} of 4 trainings"
    assert len(told) == 1 + 4 - finished
    assert told[-1].startswith("4/4 trainings · 0:00 left · se, seed 1: top-1 error ")
    assert_same_trainings(out, uninterrupted[0])


def test_another_definition_is_refused_and_told(file, uninterrupted):
    out = uninterrupted[0]
    before = (out / "ablation.toml").read_bytes()
    sets = ["recipe_settings.epochs=4", "seeds=[1]", "variants.se.se.r=2"]
    other = load_ablation(file, sets)
    told = r"recipe_settings, variants, seeds \(without 0\) differ"
    with pytest.raises(InputError, match=told):
        ablate(other, out, device="cpu")
    assert (out / "ablation.toml").read_bytes() == before


def test_a_folder_of_other_things_is_refused(file, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else; name another folder with --out"):
        ablate(load_ablation(file), tmp_path, device="cpu")
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_happens_to_have_a_networks_name_is_none(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("se_cifar_resnet20", "cifar_quick"):
        (tmp_path / name).mkdir()
    ablation = load_ablation(RUNS / "ratio.toml")
    assert (ablation.network, ablation.recipe) == ("se_cifar_resnet20", "cifar_quick")


def test_seeds_can_be_added(file, uninterrupted, tmp_path):
    out, told = tmp_path / "out", Recorder()
    ablate(load_ablation(file, ["seeds=[1]"]), out, device="cpu")
    ablate(load_ablation(file), out, told, device="cpu")
    assert told.started == (4, 2, 3)
    assert told.finished == [("none", 0), ("se", 0)]
    assert_same_trainings(out, uninterrupted[0])


def test_a_training_that_diverges_is_recorded_and_the_others_go_on(file, tmp_path):
    sets = ["recipe_settings.learning_rate=1e30", "seeds=[0]"]
    ablation, out, told = load_ablation(file, sets), tmp_path / "out", Recorder()
    found = ablate(ablation, out, told, device="cpu")
    assert [outcome.result for outcome in found.outcomes] == [None, None]
    assert all("the loss became" in outcome.reason for outcome in found.outcomes)
    again = Recorder()
    assert ablate(ablation, out, again, device="cpu") == found
    assert again.epochs == again.finished == []


def test_a_part_of_the_images(file, tmp_path):
    ablation = load_ablation(file, ["fraction=0.5", "seeds=[0]", "recipe_settings.epochs=1"])
    found = ablate(ablation, tmp_path / "out", device="cpu")
    assert {outcome.result.train_images for outcome in found.outcomes} == {24}
    assert {outcome.result.test_images for outcome in found.outcomes} == {18}


def test_an_estimate_trains_nothing_for_good(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = estimate(load_ablation(file), device="cpu")
    assert (expected.trainings, expected.epochs, expected.classes) == (4, 3, 3)
    assert (expected.training_images, expected.test_images) == (48, 18)
    seconds = 4 * (3 * 48 + 18 / 3) / expected.images_per_second
    assert expected.hours == pytest.approx(seconds / 3600, abs=0.001)
    assert list(tmp_path.iterdir()) == []


def test_variants_share_all_weights_that_they_both_have():
    full = published("se_cifar_resnet20")
    plain = paired_network(changed(full, Changes(se=False)), 10, 32, 5).state_dict()
    assert (
        plain.keys() == seeded_network(published("cifar_resnet20"), 10, 32, 5).state_dict().keys()
    )
    all_stages, stage3, relu, narrow = (
        paired_network(changed(full, change), 10, 32, 5).state_dict()
        for change in (
            Changes(),
            Changes(stages=(3,)),
            Changes(se={"excitation": "relu"}),
            Changes(se={"r": 4}),
        )
    )
    for variant in (all_stages, stage3, relu, narrow):
        assert all(torch.equal(variant[name], tensor) for name, tensor in plain.items())
    gates = [name for name in stage3 if ".se." in name]
    assert gates and all(name.startswith("stages.1.") for name in gates)
    assert all(torch.equal(stage3[name], all_stages[name]) for name in gates)
    assert all(torch.equal(relu[name], tensor) for name, tensor in all_stages.items())
    first, second = (all_stages[f"stages.2.{block}.se.reduce.weight"] for block in (1, 2))
    assert not torch.equal(first, second)
    other = paired_network(full, 10, 32, 6).state_dict()
    differing = [name for name in other if not torch.equal(other[name], all_stages[name])]
    assert {"stem.0.head.0.weight", "stages.0.0.se.reduce.weight"} <= set(differing)


def test_se_that_starts_as_the_identity_still_does():
    architecture = changed(published("se_cifar_resnet20"), Changes(se={"neutral": True, "r": 4}))
    plain = paired_network(changed(architecture, Changes(se=False)), 10, 32, 1).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(paired_network(architecture, 10, 32, 1).eval()(x), plain(x))


def test_the_generators_of_others_are_left_alone():
    before = torch.random.get_rng_state()
    paired_network(published("se_cifar_resnet20"), 10, 32, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_stages_are_numbered_as_in_the_paper():
    full = published("se_resnet50")
    only = changed(full, Changes(stages=(3,), se={"r": 8}, block={"stride_in": "first"}))
    with_se = {path.rpartition(".blocks")[0] for path, block in only.blocks() if block.se}
    assert with_se == {"stages.1"}  # the stem is stage 1, so stage 3 is the second after it
    blocks = [block for stage in only.stages for block in stage.blocks]
    assert {dict(block.extra)["stride_in"] for block in blocks} == {"first"}
    assert {block.se for block in blocks} == {None, SE(r=8)}


def test_all_of_the_papers_studies_are_there():
    assert tuple(sorted(path.stem for path in RUNS.glob("*.toml"))) == STUDIES


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_loads_and_its_variants_build(study, tmp_path):
    path = RUNS / f"{study}.toml"
    assert f"senet-nas ablate runs/ablations/{study}.toml" in path.read_text().split("\n\n")[0]
    ablation = load_ablation(path)
    networks = [ablation.trained(name) for name in ablation.variants]
    assert len(set(networks)) == len(networks)
    with torch.device("meta"):
        for network in networks:
            assert build_network(network, 10, 32)(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    (tmp_path / "again.toml").write_text(ablation.to_toml())
    assert load_ablation(tmp_path / "again.toml") == ablation


def test_a_lab_names_another_network(file):
    sets = ["network=se_resnet50", "settings.block.stride_in=first", "recipe=cifar_fast"]
    ablation = load_ablation(RUNS / "ratio.toml", sets, data=str(file.parent))
    assert ablation.trained("r8") == ablation.in_full("r8")
    assert ablation.data == str(file.parent)


FAULTS = {
    "sead=[0]": "section 'sead' is not known; did you mean 'seeds'?",
    "variants.se.sea=1": "variants.se: key 'sea' is not known; did you mean 'se'?",
    "variants.se.paper.gflop=1": "variants.se.paper: key 'gflop' is not known",
    "base=nine": "base 'nine' is not known; did you mean 'none'? (allowed: none, se)",
    "seeds=[]": "seeds: list should have at least 1 item",
    "seeds=[0, 0]": "seeds: one stands twice",
    "seeds=[-1]": "seeds must be between 0 and",
    "fraction=0": "fraction: input should be greater than 0, not 0",
    "recipe=slow": "recipe 'slow' is not known",
    "recipe_settings.epocs=1": "key 'epocs' is not known; did you mean 'epochs'?",
    "network=se_resnet51": "'se_resnet51' is not known; did you mean 'se_resnet50'?",
    "network=none.json": "none.json: No such file",
    "network=cifar_resnet20": "variants.se, network cifar_resnet20: the network has no SE there",
    "variants.se.se.r=0": "se.r must be a number of at least 1",
    "variants.se.se.width=3": "key 'width' is not known",
    "variants.se.se=true": "variants.se, network",
    "variants.se.stages=[5]": "stages: 5 is none of the network's, 2 to 2",
    "variants.se.block.stride_in=last": "stride_in",
    "variants.se.block={ se = 1 }": "block: write settings of SE as se.field",
    "variants.se.block.x=2020-01-01": "se and block: Object of type date is not JSON",
    "variants.se.block.channels=999999999999999999999": "its channels or kernels are too many",
    "variants.se.block.expansion=1e308": "its channels or kernels are too many",
    "full_size.network=resnet20": "'resnet20' is not known",
    "variants={ one = {} }": "variants: dictionary should have at least 2 items",
    'variants={ none = {}, "a/b" = {} }': "variants: 'a/b' names a folder",
}


@pytest.mark.parametrize("assignment", FAULTS)
def test_a_fault_is_one_line_that_names_file_and_key(assignment, file):
    with pytest.raises(InputError) as raised:
        load_ablation(file, [assignment])
    message = str(raised.value)
    assert message.startswith(f"{file}: ") or message.startswith("--set")
    assert FAULTS[assignment] in message and "\n" not in message


def test_what_is_no_file_or_no_ablation(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: no such ablation file$"):
        load_ablation(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"holds no ablation\.toml$"):
        results(tmp_path)


def test_a_damaged_result_is_named(file, tmp_path):
    ablation = load_ablation(file, ["seeds=[0]", "recipe_settings.epochs=1"])
    ablate(ablation, tmp_path / "out", device="cpu")
    damaged = tmp_path / "out/se/seed-0/result.json"
    damaged.write_text("{")
    with pytest.raises(InputError, match=str(damaged)):
        results(tmp_path / "out")


def test_images_that_do_not_fit_are_refused_before_anything_is_written(file, images, tmp_path):
    ablation = load_ablation(file, data=str(images / "train"))  # classes, and no splits
    with pytest.raises(InputError, match="holds no test images"):
        ablate(ablation, tmp_path / "out", device="cpu")
    with pytest.raises(InputError, match="smaller than the network's total stride"):
        ablate(load_ablation(file, ["image_size=2"]), tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_progress_in_a_terminal_is_a_bar(uninterrupted, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    outcome = results(uninterrupted[0]).outcomes[0]
    report = json.loads((uninterrupted[0] / "none/seed-0/metrics.jsonl").read_text().split("\n")[0])
    with AblationProgress() as progress:
        progress.start(4, 1, 3)
        assert progress.text("now") == "1/4 trainings · now"
        progress.epoch("se", 0, EpochReport(**report))
        assert progress.text("now").startswith("1/4 trainings · 0:0")
        progress.finish(outcome)
        assert progress.text("now").startswith("2/4 trainings")
        assert progress.seconds_left() >= 0
