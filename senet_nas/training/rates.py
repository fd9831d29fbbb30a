"""The learning rate of a recipe at each step."""

from __future__ import annotations

import math

from senet_nas.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate at a step counted from 0 over the whole training."""
    by_step = recipe.schedule_unit == "step"
    now = step if by_step else step // steps_per_epoch
    unit = steps_per_epoch if by_step else 1  # an epoch, in units of `now`
    warmup = round(recipe.warmup_epochs * unit) if by_step else recipe.warmup_epochs
    if now < warmup:
        risen = now + 1 if by_step else now
        rise = recipe.learning_rate - recipe.warmup_start
        return recipe.warmup_start + rise * risen / warmup
    before = warmup if recipe.warmup_prefix else 0
    return _scheduled(recipe, now - before, max(1, recipe.epochs * unit - before), unit)


def _scheduled(recipe: Recipe, done: float, total: float, unit: int) -> float:
    """The rate when `done` of `total` are over, of which `unit` are an epoch."""
    peak, least, falls = recipe.learning_rate, recipe.minimum_rate, 0.0
    if recipe.schedule == "cosine":
        return least + (peak - least) * 0.5 * (1 + math.cos(math.pi * (done / total)))
    if recipe.schedule == "linear":
        return least + (peak - least) * (1 - done / total)
    if recipe.schedule == "step":
        if recipe.milestones:
            falls = sum(done >= milestone * unit for milestone in recipe.milestones)
        else:
            falls = int(done // (recipe.decay_epochs * unit))
        return float(max(least, peak * recipe.decay_rate**falls))
    if recipe.schedule == "exponential":
        return float(max(least, peak * recipe.decay_rate ** (done / (recipe.decay_epochs * unit))))
    return peak
