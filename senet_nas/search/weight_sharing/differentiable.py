"""One differentiable search: weights and alpha learn in turn, and one network comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search_space import Candidate, SearchSpace
from search_space.errors import RunError
from senet_nas.data import ImageSet, training_subset
from senet_nas.data.batches import Batch
from senet_nas.data.memory import MemoryBatches
from senet_nas.search.evaluation import Evaluator
from senet_nas.search.supernet_section import SupernetSection
from senet_nas.search.weight_sharing.collapse import Watch, watch
from senet_nas.search.weight_sharing.deriving import derived
from senet_nas.search.weight_sharing.expected_cost import ExpectedCost
from senet_nas.search.weight_sharing.one_shot import seeded_supernet, split_of
from senet_nas.search.weight_sharing.paths import IN_A_ROW, LOWERED, begin_momentum
from senet_nas.search.weight_sharing.perturbation import perturbed
from senet_nas.search.weight_sharing.relaxed import Relaxed
from senet_nas.search.weight_sharing.supernet_file import SupernetCheckpoint, decisions_of
from senet_nas.training.checkpoint import load_tensors, save_tensors
from senet_nas.training.optimiser import make_optimiser, optimiser_state, restore_optimiser
from senet_nas.training.precision import resolve_precision
from senet_nas.training.rates import learning_rate
from senet_nas.training.seeding import forked_rng, seed_epoch
from strategies.differentiable import make_differentiable_strategy

_KIND = "differentiable search"
_OTHER_HALF = 1  # added to the seed, so that the two halves are shuffled on their own


@dataclass(frozen=True)
class Found:
    """What a search found. expected: cost of the probabilities at the end, cost: of the candidate.
    epochs: after each the loss, the expected cost and what was watched. skipped: steps without a
    finite loss. warnings: sentences."""

    candidate: Candidate
    probabilities: tuple[tuple[float, ...], ...]
    expected: float | None
    cost: float | None
    epochs: tuple[dict[str, Any], ...]
    skipped: int
    warnings: tuple[str, ...]


class DifferentiableSearch:
    """A search for one target and seed, on the images of an `Evaluator`.

    The weights learn on one half of its training images, alpha on the other (Liu et al. 2019,
    section 2.2). state: a file in which it is kept after each epoch, and from which it goes on.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluator: Evaluator,
        section: SupernetSection,
        target: float | None,
        seed: int,
        state: Path,
    ) -> None:
        self.space, self.evaluator, self.section = space, evaluator, section
        self.target, self.seed, self.state = target, seed, state
        self.recipe = section.recipe_in_full()
        self.device = torch.device(evaluator.device)
        self.dtype = resolve_precision(self.recipe.precision, self.device)
        self.axis = section.axis
        self.supernet = seeded_supernet(space, len(evaluator.classes), seed).to(self.device)
        self.supernet.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        expected = None if target is None else ExpectedCost(space, self.axis, evaluator.known)
        self.relaxed = Relaxed(
            self.supernet,
            make_optimiser(self.supernet, self.recipe),
            expected,
            target,
            cost_weight=section.cost_weight,
            clip_norm=self.recipe.clip_norm,
            label_smoothing=self.recipe.label_smoothing,
            dtype=self.dtype,
        )
        begin_momentum(self.relaxed.optimiser)
        lengths = [len(decision.options) for decision in space.decisions]
        self.strategy = make_differentiable_strategy(
            section.strategy, lengths, seed, **section.settings()
        )
        images = evaluator.training
        half = training_subset(images.labels.cpu(), 0.5, seed)
        rest = torch.ones(len(images), dtype=torch.bool)
        rest[half] = False
        self.weights_half = self._batches(images.subset(half))
        self.alpha_half = self._batches(images.subset(rest.nonzero()[:, 0]))
        self.epoch, self.skipped, self.in_a_row, self.rate_scale = 0, 0, 0, 1.0
        self.epochs: list[dict[str, Any]] = []
        self.seconds_before = 0.0  # that earlier starts took

    def _batches(self, images: ImageSet) -> MemoryBatches:
        found, recipe = self.evaluator, self.recipe
        return MemoryBatches(
            images, recipe.augmentation, recipe.batch_size, found.mean, found.std, self.dtype
        )

    def run(self, on_epoch: Callable[[dict[str, Any]], object] | None = None) -> Found:
        """To the end, from where an earlier call stopped. Raises `RunError` after ten steps in a
        row without a finite loss, and where no network of the target's cost is found."""
        self._restore()
        with forked_rng(self.device):
            for epoch in range(self.epoch, self.recipe.epochs):
                self._train_epoch(epoch)
                self.epoch = epoch + 1
                self._keep()
                if on_epoch is not None:
                    on_epoch(self.epochs[-1])
            return self._found()

    def step_times(self, count: int) -> list[float]:
        """The seconds of the first steps of a new search; it is of no more use then."""
        times: list[float] = []
        with forked_rng(self.device):
            while len(times) < count:
                for training, validation in islice(self._pairs(0), count - len(times)):
                    started = time.perf_counter()
                    self.relaxed.see(training, validation, 0.0)
                    with suppress(FloatingPointError):
                        self.strategy.step(self.relaxed, len(times), 0.0)
                    if self.device.type == "cuda":
                        torch.cuda.synchronize(self.device)
                    times.append(time.perf_counter() - started)
        return times

    def _train_epoch(self, epoch: int) -> None:
        started, total = time.perf_counter(), 0.0
        seed_epoch(self.seed, epoch)
        steps = self.weights_half.steps()
        pairs = self._pairs(epoch)
        for step, (training, validation) in enumerate(pairs):
            taken = epoch * steps + step
            rate = learning_rate(self.recipe, taken, steps) * self.rate_scale
            self.relaxed.see(training, validation, rate)
            try:
                progress = taken / (self.recipe.epochs * steps)
                self.strategy.step(self.relaxed, taken, progress)
                self.in_a_row = 0
            except FloatingPointError as fault:
                self._skip(str(fault), taken)
            total += self.relaxed.last_loss
        line = {
            "epoch": epoch + 1,
            "loss": total / steps,
            "seconds": time.perf_counter() - started,
            "expected": self._expected(),
            **self._watch().to_data(),
        }
        self.epochs.append(line)

    def _pairs(self, epoch: int) -> Iterator[tuple[Batch, Batch]]:
        first = self.weights_half.epoch(self.seed, epoch)
        second = self.alpha_half.epoch(self.seed + _OTHER_HALF, epoch)
        return zip(first, second, strict=False)

    def _skip(self, fault: str, taken: int) -> None:
        self.skipped += 1
        self.in_a_row += 1
        self.rate_scale *= LOWERED
        with torch.no_grad():
            for name, buffer in self.supernet.named_buffers():
                if buffer.is_floating_point() and not buffer.isfinite().all():
                    buffer.fill_(1.0 if name.endswith("running_var") else 0.0)
        if self.in_a_row >= IN_A_ROW:
            raise RunError(
                f"{fault} in {IN_A_ROW} steps in a row, up to step {taken}; what was kept after "
                f"epoch {self.epoch} is still there"
            )

    def probabilities(self) -> list[Tensor]:
        """Of each option, for each decision."""
        return [p.detach() for p in self.strategy.probabilities()]

    def _expected(self) -> float | None:
        found = self.relaxed.expected
        return None if found is None else float(found(self.probabilities()))

    def _watch(self) -> Watch:
        return watch(self.supernet.coverage, self.probabilities())

    def _found(self) -> Found:
        likely = [tuple(p.tolist()) for p in self.probabilities()]
        chosen = likely
        if self.section.selection == "perturbation":
            chosen = perturbed(self.relaxed, self.probabilities(), self.alpha_half, self.seed)
        of = self.evaluator.known.of(self.axis)

        def value(candidate: Candidate) -> float:
            return of(self.space.build(candidate))

        candidate = derived(
            self.space, chosen, None if self.target is None else value, self.target, self.seed
        )
        warnings = self._watch().warnings()
        if self.skipped:
            warnings.append(f"{self.skipped} steps had no finite loss and were skipped")
        found = None if self.target is None else value(candidate)
        return Found(
            candidate,
            tuple(likely),
            self._expected(),
            found,
            tuple(self.epochs),
            self.skipped,
            tuple(warnings),
        )

    def _keep(self) -> None:
        """Write where the search stands."""
        tensors = {f"weights/{k}": v for k, v in self.supernet.state_dict().items()}
        optimiser = optimiser_state(self.supernet, self.relaxed.optimiser)
        tensors |= {f"optimiser/{key}": v for key, v in optimiser.items()}
        tensors |= {f"strategy/{key}": v for key, v in self.strategy.state().items()}
        about = {
            "kind": _KIND,
            "identity": self._identity(),
            "epoch": self.epoch,
            "epochs": self.epochs,
            "skipped": self.skipped,
            "in_a_row": self.in_a_row,
            "rate_scale": self.rate_scale,
        }
        self.state.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(self.state, tensors, about)

    def _restore(self) -> None:
        if not self.state.exists():
            return
        tensors, about = load_tensors(self.state, _KIND)
        if about.get("kind") != _KIND or about["identity"] != self._identity():
            raise RunError(f"{self.state}: the state of another search; remove it to begin anew")
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "optimiser": {}, "strategy": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            parts[kind][rest] = tensor
        self.supernet.load_state_dict(parts["weights"])
        self.strategy.restore(parts["strategy"])
        restore_optimiser(self.supernet, self.relaxed.optimiser, parts["optimiser"])
        self.epoch, self.epochs = about["epoch"], about["epochs"]
        self.skipped, self.in_a_row = about["skipped"], about["in_a_row"]
        self.rate_scale = about["rate_scale"]
        self.seconds_before = sum(line["seconds"] for line in self.epochs)

    def checkpoint(self, label: str, seconds: float) -> SupernetCheckpoint:
        """The weights as a supernet of the space with this label."""
        found = self.evaluator
        return SupernetCheckpoint(
            weights=self.supernet.state_dict(),
            space=label,
            fingerprint=self.space.fingerprint(),
            decisions=decisions_of(self.space),
            classes=found.classes,
            mean=found.mean,
            std=found.std,
            image_size=found.settings.image_size,
            split=split_of(found.settings),
            training=self._identity(),
            seconds=seconds,
            device_seconds=seconds * (1 if self.device.type == "cuda" else torch.get_num_threads()),
            skipped=self.skipped,
        )

    def _identity(self) -> dict[str, Any]:
        return {
            "space": self.space.fingerprint(),
            "strategy": self.section.strategy,
            "settings": {k: repr(v) for k, v in self.section.settings().items()},
            "recipe": {k: v for k, v in self.recipe.to_data().items() if k != "name"},
            "target": self.target,
            "axis": self.axis,
            "seed": self.seed,
            "images": len(self.evaluator.training),
        }
