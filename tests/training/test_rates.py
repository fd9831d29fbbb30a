"""Learning-rate curves against timm's and torch's schedulers, which the recipes were run with."""

import math
import warnings

import pytest
import torch
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from torch.optim import lr_scheduler

from search_space import InputError
from senet_nas.training import Recipe, load_recipe
from senet_nas.training.rates import learning_rate

STEPS = 7  # an epoch


def optimiser(rate):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def by_epoch(recipe):
    """Our rate in each epoch, the same at its first step and its last."""
    first = [learning_rate(recipe, epoch * STEPS, STEPS) for epoch in range(recipe.epochs)]
    last = [
        learning_rate(recipe, epoch * STEPS + STEPS - 1, STEPS) for epoch in range(recipe.epochs)
    ]
    assert first == last
    return first


def timms(scheduler, epochs):
    return [scheduler._get_lr(epoch)[0] for epoch in range(epochs)]


def torchs(scheduler, epochs):
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no optimiser steps here
        for _ in range(epochs):
            rates.append(scheduler.optimizer.param_groups[0]["lr"])
            scheduler.step()
    return rates


@pytest.mark.parametrize("name", ["rsb_a1", "rsb_a2", "rsb_a3"])
def test_rsb_is_timms_cosine(name):
    recipe = load_recipe(name)
    scheduler = CosineLRScheduler(
        optimiser(recipe.learning_rate),
        t_initial=recipe.epochs,
        lr_min=1e-6,
        warmup_t=5,
        warmup_lr_init=1e-6,
        warmup_prefix=False,
    )
    assert by_epoch(recipe) == pytest.approx(timms(scheduler, recipe.epochs), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "rate", "decay"), [("mobilenetv3", 0.064, 0.973), ("efficientnet", 0.048, 0.97)]
)
def test_mobilenetv3_and_efficientnet_are_timms_steps(name, rate, decay):
    recipe = load_recipe(name)
    scheduler = StepLRScheduler(
        optimiser(rate),
        decay_t=2.4,
        decay_rate=decay,
        warmup_t=round(recipe.warmup_epochs),
        warmup_lr_init=1e-6,
        warmup_prefix=False,
    )
    assert by_epoch(recipe) == pytest.approx(timms(scheduler, recipe.epochs), rel=1e-9)


def test_torchvisions_second_recipe_is_a_line_and_then_a_cosine():
    recipe = load_recipe("torchvision_v2")
    sgd = optimiser(0.5)
    scheduler = lr_scheduler.SequentialLR(
        sgd,
        [
            lr_scheduler.LinearLR(sgd, start_factor=0.01, total_iters=5),
            lr_scheduler.CosineAnnealingLR(sgd, T_max=595),
        ],
        milestones=[5],
    )
    assert by_epoch(recipe) == pytest.approx(torchs(scheduler, 600), rel=1e-6)


def test_the_papers_recipe_falls_tenfold_every_thirty_epochs():
    recipe = load_recipe("senet2018")
    scheduler = lr_scheduler.StepLR(optimiser(0.6), step_size=30, gamma=0.1)
    assert by_epoch(recipe) == pytest.approx(torchs(scheduler, 100), rel=1e-9)


def test_pycls_warms_up_and_then_follows_its_cosine_from_the_first_epoch():
    recipe = load_recipe("pycls_100ep")
    rates = by_epoch(recipe)
    theirs = [0.8 * 0.5 * (1 + math.cos(math.pi * epoch / 100)) for epoch in range(100)]
    factors = [0.1 * (1 - epoch / 5) + epoch / 5 for epoch in range(5)] + [1.0] * 95
    expected = [rate * factor for rate, factor in zip(theirs, factors, strict=True)]
    assert rates[5:] == pytest.approx(expected[5:], rel=1e-9)
    assert rates[:5] == pytest.approx(expected[:5], rel=0.005)  # theirs is the product of the two


def test_milestones_are_torchs():
    recipe = Recipe(20, 8, 0.4, schedule="step", schedule_unit="epoch", milestones=[5, 13])
    scheduler = lr_scheduler.MultiStepLR(optimiser(0.4), milestones=[5, 13], gamma=0.1)
    expected = torchs(scheduler, 20)
    assert expected == pytest.approx([0.4] * 5 + [0.04] * 8 + [0.004] * 7)
    assert by_epoch(recipe) == pytest.approx(expected, rel=1e-9)


def test_an_exponential_is_torchs():
    recipe = Recipe(
        9, 8, 0.1, schedule="exponential", schedule_unit="epoch", decay_epochs=1, decay_rate=0.9
    )
    scheduler = lr_scheduler.ExponentialLR(optimiser(0.1), gamma=0.9)
    assert by_epoch(recipe) == pytest.approx(torchs(scheduler, 9), rel=1e-9)


def test_a_rate_by_steps_is_torchs_cosine_over_all_steps():
    recipe = Recipe(4, 8, 0.1, minimum_rate=0.01)
    scheduler = lr_scheduler.CosineAnnealingLR(optimiser(0.1), T_max=4 * STEPS, eta_min=0.01)
    rates = [learning_rate(recipe, step, STEPS) for step in range(4 * STEPS)]
    assert rates == pytest.approx(torchs(scheduler, 4 * STEPS), rel=1e-6)


def test_a_shortened_training_falls_as_often():
    recipe = load_recipe("senet2018", {"epochs": 10})
    assert by_epoch(recipe) == pytest.approx([0.6] * 3 + [0.06] * 3 + [0.006] * 3 + [0.0006])
    # A warm-up by epochs is whole epochs: no share of one is trained at the rate it starts from.
    assert load_recipe("torchvision_v2", {"epochs": 2}).warmup_epochs == 0


def test_a_rate_scaled_to_another_batch_is_linear_in_it():
    recipe = load_recipe("torchvision_v2").scaled_to(256)
    assert (recipe.batch_size, recipe.learning_rate) == (256, 0.125)
    assert recipe.warmup_start == pytest.approx(0.00125)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "step"}, "needs milestones, or decay_epochs"),
        ({"schedule": "exponential"}, "needs decay_epochs"),
        ({"schedule_unit": "epoch", "warmup_epochs": 1}, "warmup_start must be above 0"),
        ({"decay_rate": 2}, "decay_rate must be above 0 and at most 1"),
        ({"milestones": 3}, "milestones must be a list"),
    ],
)
def test_schedules_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        Recipe(10, 8, 0.1, **settings)
