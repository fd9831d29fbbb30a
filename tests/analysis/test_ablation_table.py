"""The table of an ablation: the paper's counts, and statistics that another library agrees with."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from timm.models import create_model

from search_space import published
from senet_nas.analysis.ablation import counts, paired_difference, plan, tabulate
from senet_nas.analysis.ablation_tables import print_ablation
from senet_nas.search.ablation import Outcome, Results, load_ablation
from senet_nas.training import RetrainResult

RUNS = Path(__file__).parents[2] / "runs" / "ablations"

# Learnable parameters (arXiv 1709.01507, equation 5), what the paper prints in millions, GFLOPs.
PAPER = {
    ("ratio", "none"): (25_557_032, 25.6, 3.86),
    ("ratio", "r2"): (45_676_584, 45.7, None),
    ("ratio", "r4"): (35_616_808, 35.7, None),
    ("ratio", "r8"): (30_586_920, 30.7, None),
    ("ratio", "r16"): (28_071_976, 28.1, 3.87),
    ("ratio", "r32"): (26_814_504, 26.9, None),
    ("squeeze", "max"): (28_071_976, None, None),
    ("excitation", "tanh"): (28_071_976, None, None),
    ("stages", "stage2"): (25_581_608, 25.6, None),
    ("stages", "stage3"): (25_688_104, 25.7, None),
    ("stages", "stage4"): (26_343_464, 26.4, None),
    ("stages", "all"): (28_071_976, 28.1, 3.87),
    ("integration", "post"): (28_071_976, None, None),
    ("conv3x3", "conv3x3"): (25_714_216, 25.8, 3.86),
    ("no_squeeze", "no_squeeze"): (28_071_976, 28.1, 4.27),
}


@pytest.fixture(scope="module")
def tables():
    """Of every study, with nothing trained."""
    return {
        study: {row.variant: row for row in tabulate(Results(load(study), ())).rows}
        for study in {study for study, _ in PAPER}
    }


def load(study, *sets):
    return load_ablation(RUNS / f"{study}.toml", sets)


@pytest.mark.parametrize(("study", "variant"), PAPER)
def test_full_size_networks_count_as_in_the_paper(study, variant, tables):
    params, printed, gflops = PAPER[study, variant]
    row = tables[study][variant]
    assert row.full_size.params == params
    assert row.full_size.params_with_statistics == params + 53_120
    assert (row.paper.params_m, row.paper.gflops) == (printed, gflops)
    if printed is not None:
        assert row.full_size.params_with_statistics / 1e6 == pytest.approx(printed, abs=0.15)
    if gflops is not None:
        assert row.full_size.macs_with_scaling / 1e9 == pytest.approx(gflops, rel=0.003)


def test_the_definition_that_reaches_the_papers_digits(tables):
    """Statistics counted and no biases: all but r = 8, which has biases to be 30.7."""
    reached = {
        key: round(tables[key[0]][key[1]].full_size.params_with_statistics / 1e6, 1) == printed
        for key, (_, printed, _) in PAPER.items()
        if printed is not None
    }
    assert [key for key, is_reached in reached.items() if not is_reached] == [("ratio", "r8")]
    with_biases = load("ratio", "full_size.settings.se.bias=true").in_full("r8")
    assert round(counts(with_biases, 224, 1000).params_with_statistics / 1e6, 1) == 30.7
    gflops = {key: value for key, (_, _, value) in PAPER.items() if value is not None}
    for (study, variant), printed in gflops.items():
        assert round(tables[study][variant].full_size.macs_with_scaling / 1e9, 2) == printed


def test_counts_agree_with_timms_copy_of_the_authors_network():
    """legacy_seresnet50: biases, the stride in the first 1x1; 3,860,488,192 MACs (fvcore)."""
    ours = load("ratio", "full_size.settings.se.bias=true").in_full("r16")
    theirs = create_model("legacy_seresnet50")
    counted = counts(ours, 224, 1000)
    assert counted.params == sum(p.numel() for p in theirs.parameters())
    floats = sum(b.numel() for b in theirs.buffers() if b.is_floating_point())
    assert counted.params_with_statistics == counted.params + floats
    assert counted.macs == 3_860_488_192
    scaled = 3 * 256 * 56**2 + 4 * 512 * 28**2 + 6 * 1024 * 14**2 + 3 * 2048 * 7**2
    assert counted.macs_with_scaling == counted.macs + scaled


def test_a_network_without_se_scales_nothing():
    plain = counts(published("cifar_resnet20"), 32, 10)
    assert plain.macs_with_scaling == plain.macs


@pytest.mark.parametrize("pairs", [2, 3, 10])
def test_the_interval_is_that_of_a_paired_t_test(pairs):
    rng = np.random.default_rng(pairs)
    base, other = rng.normal(8, 1, pairs), rng.normal(7.5, 1, pairs)
    found = paired_difference(dict(enumerate(other)), dict(enumerate(base)))
    test = stats.ttest_rel(other, base)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(float(np.mean(other - base)))
    assert found.pairs == pairs
    assert (found.verdict == "not told apart") == (test.pvalue > 0.05)


@pytest.mark.parametrize(
    ("errors", "base", "verdict"),
    [
        ({0: 5.0, 1: 5.2}, {0: 5.1, 1: 5.0}, "not told apart"),
        ({0: 5.0, 1: 5.1, 2: 5.0}, {0: 7.0, 1: 7.0, 2: 7.1}, "lower error"),
        ({0: 7.0, 1: 7.1}, {0: 5.0, 1: 5.1}, "higher error"),
        ({0: 7.0, 1: 7.1}, {0: 7.0, 1: 7.1}, "not told apart"),
        ({0: 5.0, 2: 9.0}, {0: 7.0, 1: 7.0}, "one pair: no interval"),
    ],
)
def test_what_may_be_said_of_a_difference(errors, base, verdict):
    assert paired_difference(errors, base).verdict == verdict


def test_only_seeds_that_both_have_are_paired():
    assert paired_difference({0: 5.0}, {1: 5.0}) is None
    found = paired_difference({0: 5.0, 1: 6.0, 3: 0.0}, {0: 6.0, 1: 8.0, 2: 1.0})
    assert (found.mean, found.pairs) == (-1.5, 2)


def trained(variant, seed, error):
    """The outcome of a training that left such an error."""
    result = RetrainResult(
        top1=100 - error,
        top5=99.0,
        test_loss=1.0,
        test_images=1000,
        train_images=4000,
        epochs=10,
        seconds=60.0,
        seed=seed,
        params=1,
        image_size=32,
        recipe={},
        identity={"data": {"classes": [str(n) for n in range(20)]}},
    )
    return Outcome(variant, seed, result)


@pytest.fixture
def found():
    """Trainings of three variants: clearly better, not told apart, one seed alone, none."""
    errors = {"none": (30.0, 31.0, 32.0), "r2": (28.0, 29.1, 30.0), "r4": (29.0, 32.0, 31.5)}
    outcomes = [trained(name, seed, e) for name, es in errors.items() for seed, e in enumerate(es)]
    outcomes += [trained("r8", 1, 30.5), Outcome("r8", 0, None, "the loss became nan")]
    return tabulate(Results(load("ratio"), tuple(outcomes)))


def printed(table):
    text = io.StringIO()
    print_ablation(table, Console(file=text, width=140))
    return text.getvalue()


def test_the_table_says_what_was_found_and_no_more(found):
    rows = {row.variant: row for row in found.rows}
    assert list(rows) == ["none", "r2", "r4", "r8", "r16", "r32"]
    assert (rows["none"].mean, rows["none"].std) == (31.0, 1.0)
    assert (rows["r8"].mean, rows["r8"].std, rows["r8"].diverged) == (30.5, None, 1)
    assert (rows["r16"].mean, rows["r16"].difference) == (None, None)
    assert rows["none"].difference is None
    assert found.classes == 20
    text = printed(found)
    low, high = rows["r2"].difference.low, rows["r2"].difference.high
    assert f"-1.97 [{low:+.2f}, {high:+.2f}]" in text
    assert "29.03 ± 1.00" in text
    assert "1 (1 diverged)" in text
    assert "not told apart from none by these seeds, as the interval spans zero: r4" in text
    assert "one pair only, so without an interval: r8" in text
    assert "r2: lower error than none, on these images with this recipe" in text
    assert "45.73 │  45.7" in text and "3.866 │  3.87" in text and "22.29" in text


def test_eighty_columns_hold_the_papers_table(found):
    text = io.StringIO()
    print_ablation(found, Console(file=text, width=80))
    assert (
        "│ r2      │ 45,676,584 │    45.73 │  45.7 │  3.878 │  3.884 │     - │ 22.29 │"
        in text.getvalue()
    )
    assert "│ r16     │ 275,140 │" in text.getvalue()


def test_the_same_as_data(found):
    data = json.loads(json.dumps(found.to_data()))
    first, second, *_ = data["variants"]
    assert first["difference_to_base"] is None
    assert second["difference_to_base"]["pairs"] == 3
    assert second["difference_to_base"]["verdict"] == "lower error"
    assert second["top1_error"]["by_seed"] == pytest.approx({"0": 28, "1": 29.1, "2": 30})
    assert second["full_size"]["params"] == 45_676_584
    assert second["trained"]["params"] == found.rows[1].trained.params
    assert second["paper"]["top1_error"] == 22.29
    assert (data["base"], data["seeds"], data["confidence"]) == ("none", [0, 1, 2], 0.95)
    assert "estimate" not in data


def test_before_anything_is_paired_it_says_so(found):
    alone = replace(found, rows=found.rows[:1])
    assert "no seed has both the base and another variant yet" in printed(alone)


def test_a_plan_counts_and_estimates(images):
    ablation = load("squeeze", f"data={images}", "image_size=16", "seeds=[0, 1]")
    table = plan(ablation, device="cpu")
    assert [row.trained.params for row in table.rows] == [272_474 + 2_016 - 7 * 65] * 2
    assert table.to_data()["estimate"]["trainings"] == 4
    text = printed(table)
    assert "4 trainings of 10 epochs on 48 images: about" in text
    assert "16x16, 3 classes" in text
