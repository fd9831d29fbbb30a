"""Weight-sharing strategies on supernets of a few numbers, where the right answer is known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from search_space import InputError, SearchSpace, load
from strategies.differentiable import differentiable_names, make_differentiable_strategy
from strategies.one_shot import make_path_strategy, path_strategy_names

SPACE = SearchSpace.from_choices({"a": [0, 1], "b": [0, 1, 2], "c": ["x", "y", "z", "w"]})
SMALL, LARGE = (0, 0, 0), (1, 2, 3)


class Learner:
    """Writes down which networks learn, from what and by how much."""

    def __init__(self):
        self.learned = []

    def learn(self, candidate, teacher=None, share=1.0):
        self.learned.append((candidate, teacher, share))
        return f"outputs of {candidate}"


def steps(strategy, count, first=0):
    learner = Learner()
    for number in range(first, first + count):
        strategy.step(learner, number)
    return learner.learned


@pytest.mark.parametrize("name", path_strategy_names())
def test_who_learns_follows_from_the_seed_and_the_number_alone(name):
    make = [make_path_strategy(name, SPACE, SMALL, LARGE, seed) for seed in (0, 0, 1)]
    whole = steps(make[0], 12)
    assert steps(make[1], 6) + steps(make[1], 6, first=6) == whole
    assert steps(make[2], 12) != whole


def test_fair_sampling_deals_every_option_once_a_round():
    strategy = make_path_strategy("single_path", SPACE, SMALL, LARGE, 3, sampling="fair")
    learned = [candidate for candidate, *_ in steps(strategy, 24)]
    for position, decision in enumerate(SPACE.decisions):
        options = len(decision.options)
        for start in range(0, 24, options):
            dealt = [candidate[position] for candidate in learned[start : start + options]]
            assert sorted(dealt) == list(range(options))


def test_uniform_sampling_draws_as_the_space_does():
    strategy = make_path_strategy("single_path", SPACE, SMALL, LARGE, 0, largest_share=0.0)
    counts = Counter(candidate[2] for candidate, *_ in steps(strategy, 400))
    assert all(60 < counts[option] < 140 for option in range(4))


@pytest.mark.parametrize("sampling", ["uniform", "fair"])
def test_sizes_are_the_largest_network_s_as_often_as_asked(sampling: str):
    space = load("cifar_residual")
    largest = space.normalise([len(decision.options) - 1 for decision in space.decisions])
    smallest = space.candidate({})
    shares = {0.0: 0.0, 0.5: 0.5, None: 0.4 if sampling == "uniform" else 0.0}
    learned = {
        share: [
            candidate
            for candidate, *_ in steps(
                make_path_strategy(
                    "single_path", space, smallest, largest, sampling=sampling, largest_share=share
                ),
                600,
            )
        ]
        for share in shares
    }
    assert all(space.normalise(candidate) == candidate for candidate in learned[0.5])
    position = {decision.name: index for index, decision in enumerate(space.decisions)}
    for name, uniform in (("stage1_channels", 1 / 4), ("stage2_depth", 1 / 3)):
        at = position[name]
        for share, candidates in learned.items():
            expected = shares[share] + (1 - shares[share]) * uniform
            found = sum(candidate[at] == largest[at] for candidate in candidates) / 600
            assert found == pytest.approx(expected, abs=0.08)
    # Nor has a basic block groups that others could take.
    largest_is_basic = [
        0 if d.name.endswith("_cell") else n for n, d in zip(largest, space.decisions, strict=True)
    ]
    basic = make_path_strategy(
        "single_path",
        space,
        smallest,
        space.normalise(largest_is_basic),
        sampling=sampling,
        largest_share=0.9,
    )
    grouped = [
        c[position["stage1_groups"]]
        for c, *_ in steps(basic, 200)
        if c[position["stage1_cell"]] == 1
    ]
    assert 0.5 < sum(map(bool, grouped)) / len(grouped) < 0.8
    for name in ("stage1_cell", "stage1_block1_se"):
        at = position[name]
        assert [c[at] for c in learned[0.5]] == [c[at] for c in learned[0.0]]
    # Blocks that stand only since the depth is the largest's are drawn as others are.
    third = position["stage1_block3_se"]
    without_se = [c[third] == 0 for c in learned[0.5] if c[position["stage1_depth"]] == 2]
    assert sum(without_se) / len(without_se) < 0.6


def test_the_sandwich_is_largest_smallest_and_random_taught_by_the_largest():
    learned = steps(make_path_strategy("sandwich", SPACE, SMALL, LARGE, 0, random=3), 1)
    assert [candidate for candidate, *_ in learned[:2]] == [LARGE, SMALL]
    assert len(learned) == 5
    assert learned[0][1] is None
    assert {teacher for _, teacher, _ in learned[1:]} == {f"outputs of {LARGE}"}
    assert sum(share for *_, share in learned) == pytest.approx(1)


def test_without_distillation_all_learn_from_the_labels():
    learned = steps(make_path_strategy("sandwich", SPACE, SMALL, LARGE, 0, distil=False), 1)
    assert {teacher for _, teacher, _ in learned} == {None}


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda name, **s: make_path_strategy(name, SPACE, SMALL, LARGE, 0, **s), "sandwich"),
        (lambda name, **s: make_differentiable_strategy(name, [2], 0, **s), "darts"),
    ],
)
def test_unknown_names_and_settings_are_refused_with_what_is_allowed(make, names):
    with pytest.raises(InputError, match="allowed"):
        make("none_such")
    with pytest.raises(InputError, match="setting"):
        make(names, none_such=1)


class Toy:
    """A supernet whose loss is that of options' values and of one weight: known in closed form.

    loss = (w * sum p v - 1)^2 on the weights' batch, and with another aim on alpha's.
    """

    def __init__(self, values=((3.0, 0.5), (0.2, 2.0, 1.0)), rate=0.05, best=(1, 2)):
        self.w = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
        self.values = [torch.tensor(v, dtype=torch.float64) for v in values]
        self.rate, self.best = rate, best
        self.supports = []

    def mixed(self, mixture):
        return sum((p.double() * v).sum() for p, v in zip(mixture, self.values, strict=True))

    def training_loss(self, mixture, support=None):
        self.supports.append(support)
        return ((self.w * self.mixed(mixture) - 1) ** 2).sum()

    def validation_loss(self, mixture, support=None):
        good = sum(p[b] for p, b in zip(mixture, self.best, strict=True))
        return ((self.w * self.mixed(mixture) - 1.5) ** 2).sum() * 0.01 - good.double()

    def cost_loss(self, probabilities):
        return torch.zeros(())

    def weights(self):
        return [self.w]

    def update_weights(self, loss):
        (gradient,) = torch.autograd.grad(loss, [self.w])
        with torch.no_grad():
            self.w -= self.rate * gradient

    @property
    def weights_rate(self):
        return self.rate


SETTINGS = {"gumbel": {"alpha_rate": 0.05}, "darts": {"alpha_rate": 0.05}, "proxyless": {}}


@pytest.mark.parametrize("name", differentiable_names())
def test_the_better_options_win(name):
    toy = Toy()
    strategy = make_differentiable_strategy(name, [2, 3], 0, **SETTINGS[name])
    for number in range(600):
        strategy.step(toy, number, number / 600)
    likely = [p.detach() for p in strategy.probabilities()]
    assert [int(p.argmax()) for p in likely] == [1, 2]
    assert all(float(p.max()) > 0.6 for p in likely)


@pytest.mark.parametrize("name", differentiable_names())
def test_a_search_that_goes_on_is_the_one_that_never_stopped(name):
    def taken(strategy, toy, numbers):
        for number in numbers:
            strategy.step(toy, number, number / 20)

    whole, toy = make_differentiable_strategy(name, [2, 3], 5), Toy()
    taken(whole, toy, range(20))
    first, other = make_differentiable_strategy(name, [2, 3], 5), Toy()
    taken(first, other, range(10))
    second = make_differentiable_strategy(name, [2, 3], 99)
    second.restore(first.state())
    second.seed = 5
    taken(second, other, range(10, 20))
    for one, two in zip(whole.alpha(), second.alpha(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", differentiable_names())
def test_the_state_of_another_space_is_refused(name):
    state = make_differentiable_strategy(name, [2, 3], 0).state()
    with pytest.raises(InputError, match="options are 4"):
        make_differentiable_strategy(name, [2, 2], 0).restore(state)


def test_second_order_is_the_gradient_through_a_step_of_the_weights():
    """Against the derivative taken exactly, by autograd through w - xi dL/dw."""
    toy = Toy()
    strategy = make_differentiable_strategy("darts", [2, 3], 0, order=2)
    found = strategy.unrolled_gradient(toy)
    before = toy.w.detach().clone()
    p = strategy.probabilities()
    (inner,) = torch.autograd.grad(toy.training_loss(p), [toy.w], create_graph=True)
    moved = Toy()
    moved.w = toy.w - toy.rate * inner
    exact = torch.autograd.grad(moved.validation_loss(p), strategy.alpha()[0]._base)[0]
    assert torch.equal(toy.w, before)
    assert torch.allclose(found.double(), exact.double(), rtol=1e-3, atol=1e-6)
    first = strategy._alpha.gradient(toy.validation_loss(strategy.probabilities()))
    assert not torch.allclose(first.double(), exact.double(), rtol=1e-3, atol=1e-6)


def test_gumbel_draws_by_the_probabilities():
    strategy = make_differentiable_strategy("gumbel", [3], 0)
    with torch.no_grad():
        strategy._alpha.flat.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(int(strategy.draw(generator, 1.0, 1)[0][0].argmax()) for _ in range(2000))
    assert [drawn[n] / 2000 for n in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.04)


def test_gumbel_computes_only_what_was_drawn():
    toy = Toy()
    make_differentiable_strategy("gumbel", [2, 3], 0).step(toy, 0, 0.0)
    assert [len(options) for options in toy.supports[0]] == [1, 1]


def test_proxyless_leaves_the_probabilities_of_all_other_options():
    values = (tuple(np.linspace(0.1, 1.0, 6)),)
    toy = Toy(values, best=(4,))
    strategy = make_differentiable_strategy("proxyless", [6], 0)
    before = strategy.probabilities()[0].detach().clone()
    strategy.step(toy, 0, 0.0)
    after = strategy.probabilities()[0].detach()
    changed = (after - before).abs() > 1e-7
    assert int(changed.sum()) == 2
    assert torch.allclose(after[~changed], before[~changed])


def test_deals_are_of_the_decisions_own_weights():
    space = load("cifar_tiny")
    strategy = make_path_strategy(
        "single_path", space, space.candidate({}), space.candidate({}), 0, sampling="fair"
    )
    learned = [candidate for candidate, *_ in steps(strategy, 20)]
    assert all(space.normalise(candidate) == candidate for candidate in learned)
