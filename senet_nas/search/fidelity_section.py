"""The section of a run file that trains in rungs: many candidates a little, the best in full."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from search_space import InputError
from senet_nas.search.toml_file import Section

if TYPE_CHECKING:
    from senet_nas.search.evaluation_section import EvaluationSection


class RungSection(Section):
    """How far a rung trains. epochs: from the start, those of lower rungs included. image_size,
    fraction: of images and of the training split, the evaluation's own where not given."""

    epochs: int = Field(ge=1)
    image_size: int | None = Field(default=None, ge=1)
    fraction: float | None = Field(default=None, gt=0, le=1)


class FidelitySection(Section):
    """Successive halving. rungs: from the shortest to the last, which is the evaluation in full;
    or first: epochs of the shortest, each further rung being `reduction` times as long. reduction:
    of those that finished a rung, one in so many goes on. waiting: how many more trials at a rung
    keep their state, so that they can go on when others have finished it."""

    rungs: list[RungSection] = Field(default=[])
    first: int | None = Field(default=None, ge=1)
    reduction: int = Field(default=3, ge=2)
    waiting: int = Field(default=50, ge=1)

    def resolved(self, evaluation: EvaluationSection, epochs: int) -> FidelitySection:
        """The same with every rung written out. evaluation: with its image size filled in.
        epochs: of a training in full. Raises `InputError` for rungs that don't rise to it."""
        if bool(self.rungs) == (self.first is not None):
            raise InputError("fidelity: give one of rungs and first")
        rungs = self.rungs or [RungSection(epochs=e) for e in self._geometric(epochs)]
        if len(rungs) < 2:
            raise InputError(
                f"fidelity: two rungs at least, not {[rung.epochs for rung in rungs]} "
                f"of {epochs} epochs"
            )
        size, fraction = evaluation.image_size, evaluation.fraction
        filled = [
            RungSection(
                epochs=rung.epochs,
                image_size=rung.image_size or size,
                fraction=rung.fraction or fraction,
            )
            for rung in rungs
        ]
        for below, rung in pairwise(filled):
            if rung.epochs <= below.epochs:
                raise InputError(
                    f"fidelity.rungs: epochs must rise, not {below.epochs} to {rung.epochs}"
                )
        for rung in filled:
            _at_most("image_size", rung.image_size, size)
            _at_most("fraction", rung.fraction, fraction)
        last = filled[-1]
        if (last.epochs, last.image_size, last.fraction) != (epochs, size, fraction):
            raise InputError(
                f"fidelity.rungs: the last must be the evaluation in full, {epochs} epochs of "
                f"{size} pixels and fraction {fraction:g}, not {last.epochs} of "
                f"{last.image_size} and {last.fraction:g}"
            )
        return self.model_copy(update={"rungs": filled, "first": None})

    def _geometric(self, epochs: int) -> list[int]:
        """first, first·reduction, … below a last rung of all epochs."""
        assert self.first is not None
        rungs, rung = [], self.first
        while rung * self.reduction <= epochs:
            rungs.append(rung)
            rung *= self.reduction
        return [*rungs, epochs]

    def epochs_spent(self, rung: int) -> float:
        """What training from the rung below to this one takes, in epochs over the images in full:
        an epoch over a part of them, or over smaller ones, counts by its share of the pixels.
        For resolved rungs."""
        here, last = self.rungs[rung], self.rungs[-1]
        before = self.rungs[rung - 1].epochs if rung else 0
        assert here.image_size and here.fraction and last.image_size and last.fraction
        share = float((here.fraction / last.fraction) * (here.image_size / last.image_size) ** 2)
        return (here.epochs - before) * share

    def epochs_a_trial(self) -> float:
        """The mean over trials, where one in `reduction` goes on."""
        shares = (self.epochs_spent(k) / self.reduction**k for k in range(len(self.rungs)))
        return float(sum(shares))


def _at_most(key: str, value: float | None, most: float) -> None:
    if value is not None and value > most:
        raise InputError(f"fidelity.rungs: {key} {value:g} is above the evaluation's, {most:g}")
