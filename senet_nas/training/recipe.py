"""Recipes: how a network is trained, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from search_space import checks
from search_space.errors import InputError
from senet_nas.data import Augmentation

OPTIMISERS = ("sgd", "rmsprop", "rmsprop_tf", "adamw", "lamb")
SCHEDULES = ("cosine", "linear", "constant", "step", "exponential")
UNITS = ("step", "epoch")
LOSSES = ("cross_entropy", "bce")
SPARED = ("norms", "biases")
PRECISIONS = ("auto", "bf16", "fp32")
RATES = ("learning_rate", "warmup_start", "minimum_rate")
_BELOW_ONE = (
    "momentum",
    "square_momentum",
    "label_smoothing",
    "target_threshold",
    "ema_decay",
    "drop_path",
)
_NOT_NEGATIVE = (
    "learning_rate",
    "epsilon",
    "weight_decay",
    "clip_norm",
    "warmup_epochs",
    "warmup_start",
    "decay_epochs",
    "minimum_rate",
    "mixup",
    "cutmix",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training schedule. Recipes are equal without their `name`, which is where one was read.

    batch_size: of a whole step, over all workers. micro_batch: the most images that a worker
    computes at a time, 0 for its whole share; gradients are accumulated over a step, so that a
    smaller machine keeps the batch (norms then see the smaller ones).

    optimiser: `rmsprop_tf`, `lamb` are timm's, the others torch's. momentum: of sgd and rmsprop,
    the first beta of adamw and lamb. square_momentum: of the squares (alpha of rmsprop, the second
    beta). epsilon: of all but sgd. nesterov: of sgd. weight_decay: decoupled in adamw and lamb.
    decay_spares: what doesn't decay: `norms` (all parameters of norms), `biases` (of other
    layers). clip_norm: the largest norm of a step's gradient, 0 for no limit.

    learning_rate: its peak, at the recipe's own batch size. It rises linearly over warmup_epochs,
    a fraction allowed, from warmup_start. schedule: to minimum_rate along a half cosine or a line;
    times decay_rate at each of the `milestones` or else every decay_epochs (step), or all the
    while, so much in decay_epochs (exponential); or not at all. schedule_unit: whether the rate
    changes each step or each epoch. warmup_prefix: the schedule begins after the warm-up, and
    doesn't run beneath it.

    loss: `bce`, for each class on its own. target_threshold: its targets above this are 1, others
    0; 0 leaves them. mixup, cutmix: the alpha of each; where both are set one is drawn a batch.
    drop_path: stochastic depth, of the last residual unit. dropout: before the classifier, in
    place of the network's own. frozen_norm_epochs: the last epochs, in which norms use the
    statistics that they have. ema_decay: of the average of the weights that is evaluated and
    kept, 0 for none; it begins as (1 + n) / (10 + n). ema_every: steps between its updates.

    image_size, test_image_size: sides in pixels, where the user names none. A test image is
    resized so that its shorter side is test_image_size / test_crop, and its centre is taken.
    repeats: how often an image stands in a batch, each time augmented anew (repeated
    augmentation, arXiv 1902.05509; an epoch is as long as without). precision: `auto` is bfloat16
    where the device has it in hardware. All others are the fields of `Augmentation`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    micro_batch: int = 0
    optimiser: str = "sgd"
    momentum: float = 0.9
    square_momentum: float = 0.999
    epsilon: float = 1e-8
    nesterov: bool = True
    weight_decay: float = 5e-4
    decay_spares: tuple[str, ...] = SPARED
    clip_norm: float = 0.0
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0
    warmup_prefix: bool = True
    schedule: str = "cosine"
    schedule_unit: str = "step"
    milestones: tuple[float, ...] = ()
    decay_epochs: float = 0.0
    decay_rate: float = 0.1
    minimum_rate: float = 0.0
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    target_threshold: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    drop_path: float = 0.0
    dropout: float | None = None
    frozen_norm_epochs: int = 0
    ema_decay: float = 0.0
    ema_every: int = 1
    image_size: int | None = None
    test_image_size: int | None = None
    test_crop: float = 1.0
    crop_padding: int = 4
    padding: str = "reflect"
    flip: bool = True
    cutout: int = 0
    crop: str = "padded"
    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    auto_augment: str = ""
    color_jitter: float = 0.0
    erase_probability: float = 0.0
    erase_mode: str = "pixel"
    repeats: int = 1
    precision: str = "auto"
    name: str = field(default="custom", compare=False)

    def __post_init__(self) -> None:
        for entry in ("decay_spares", "milestones", "crop_scale", "crop_ratio"):
            values = getattr(self, entry)
            if not isinstance(values, list | tuple):
                raise InputError(f"recipe.{entry} must be a list, not {values!r}")
            object.__setattr__(self, entry, tuple(values))
        self._check_each()
        self._check_together()
        try:
            _ = self.augmentation
        except InputError as error:
            raise InputError(f"recipe.{error}") from None

    def _check_each(self) -> None:
        checks.integer("recipe.epochs", self.epochs, least=1)
        checks.integer("recipe.batch_size", self.batch_size, least=2)
        checks.integer("recipe.micro_batch", self.micro_batch, least=0)
        checks.integer("recipe.ema_every", self.ema_every, least=1)
        checks.integer("recipe.repeats", self.repeats, least=1)
        checks.integer("recipe.frozen_norm_epochs", self.frozen_norm_epochs, least=0)
        checks.choice("recipe.optimiser", self.optimiser, OPTIMISERS)
        checks.choice("recipe.schedule", self.schedule, SCHEDULES)
        checks.choice("recipe.schedule_unit", self.schedule_unit, UNITS)
        checks.choice("recipe.loss", self.loss, LOSSES)
        checks.choice("recipe.precision", self.precision, PRECISIONS)
        for entry in ("nesterov", "warmup_prefix"):
            checks.boolean(f"recipe.{entry}", getattr(self, entry))
        for entry in _NOT_NEGATIVE:
            checks.number(f"recipe.{entry}", getattr(self, entry), least=0.0)
        for entry in _BELOW_ONE:
            checks.below_one(f"recipe.{entry}", getattr(self, entry))
        if self.dropout is not None:
            checks.below_one("recipe.dropout", self.dropout)
        for entry in ("image_size", "test_image_size"):
            if getattr(self, entry) is not None:
                checks.integer(f"recipe.{entry}", getattr(self, entry), least=1)
        for spared in self.decay_spares:
            checks.choice("recipe.decay_spares", spared, SPARED)
        for milestone in self.milestones:
            checks.number("recipe.milestones", milestone, least=0.0)
        for entry in ("decay_rate", "test_crop"):
            checks.number(f"recipe.{entry}", getattr(self, entry), least=0.0)
            if not 0 < getattr(self, entry) <= 1:
                value = getattr(self, entry)
                raise InputError(f"recipe.{entry} must be above 0 and at most 1, not {value}")

    def _check_together(self) -> None:
        if self.warmup_epochs > self.epochs:
            raise InputError(f"recipe.warmup_epochs must be at most epochs, {self.epochs}")
        if self.optimiser == "sgd" and self.nesterov and not self.momentum:
            raise InputError("recipe.nesterov needs a momentum above 0")
        if self.schedule == "step" and not (self.milestones or self.decay_epochs):
            raise InputError("recipe.schedule 'step' needs milestones, or decay_epochs above 0")
        if self.schedule == "exponential" and not self.decay_epochs:
            raise InputError("recipe.schedule 'exponential' needs decay_epochs above 0")
        if self.warmup_epochs and self.schedule_unit == "epoch" and not self.warmup_start:
            raise InputError(
                "recipe.warmup_start must be above 0 where schedule_unit is 'epoch': the first "
                "epoch would be trained at a rate of 0"
            )
        if self.frozen_norm_epochs > self.epochs:
            raise InputError(f"recipe.frozen_norm_epochs must be at most epochs, {self.epochs}")
        if self.target_threshold and self.loss != "bce":
            raise InputError("recipe.target_threshold goes with the loss 'bce'")

    @property
    def augmentation(self) -> Augmentation:
        """What is done to the training images."""
        return Augmentation(
            **{entry.name: getattr(self, entry.name) for entry in fields(Augmentation)}
        )

    @property
    def test_interpolation(self) -> str:
        """How test images are resized: as training images, by the better way where those are by
        either."""
        return "bilinear" if self.interpolation == "bilinear" else "bicubic"

    def shortened(self, epochs: int, keeping: Mapping[str, object]) -> dict[str, Any]:
        """What goes with fewer epochs: warm-up, milestones and periods keep their share of them,
        but for what `keeping` names."""
        share = epochs / self.epochs
        warmup = self.warmup_epochs * share
        scaled = {
            "warmup_epochs": warmup if self.schedule_unit == "step" else round(warmup),
            "milestones": tuple(milestone * share for milestone in self.milestones),
            "decay_epochs": self.decay_epochs * share,
            "frozen_norm_epochs": round(self.frozen_norm_epochs * share),
        }
        return {key: value for key, value in scaled.items() if key not in keeping}

    def scaled_to(self, batch_size: int) -> Recipe:
        """The recipe for another batch size with its rates scaled linearly (arXiv 1706.02677)."""
        factor = batch_size / self.batch_size
        changed = {rate: getattr(self, rate) * factor for rate in RATES}
        return replace(self, batch_size=batch_size, **changed)

    def to_data(self) -> dict[str, Any]:
        """The recipe as a plain mapping, from which `recipe_from_data` makes an equal one."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
