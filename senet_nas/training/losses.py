"""What is minimised: the loss of a recipe, and the mixing of images that softens its targets.

Mixup is arXiv 1710.09412, cutmix arXiv 1905.04899, both by torchvision; the loss of each class on
its own is arXiv 2110.00476 (RSB), by timm.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from senet_nas.training.recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]
Mixing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def make_loss(recipe: Recipe) -> Loss:
    """The mean over a batch, of logits (N, K) and labels (N,), or shares of classes (N, K)."""
    if recipe.loss == "cross_entropy":
        return partial(F.cross_entropy, label_smoothing=recipe.label_smoothing)
    return partial(
        _each_class_on_its_own,
        smoothing=recipe.label_smoothing,
        threshold=recipe.target_threshold,
    )


def make_mixing(recipe: Recipe, num_classes: int) -> Mixing | None:
    """Batches and labels to mixed batches and shares of classes; None where nothing is mixed.

    Draws from torch's global generators: one of the two kinds, and one share, a batch.
    """
    if not (recipe.mixup or recipe.cutmix) or num_classes < 2:
        return None
    from torchvision.transforms import v2

    kinds = [
        kind(alpha=alpha, num_classes=num_classes)
        for kind, alpha in ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
        if alpha
    ]
    mixing: Mixing = v2.RandomChoice(kinds)
    return mixing


def _each_class_on_its_own(
    logits: Tensor, targets: Tensor, smoothing: float, threshold: float
) -> Tensor:
    from timm.loss import BinaryCrossEntropy

    if targets.ndim == 1:  # so that smoothing is the same for labels and for shares
        targets = F.one_hot(targets, logits.shape[1])
    softened = targets.to(logits) * (1 - smoothing) + smoothing / logits.shape[1]
    loss = BinaryCrossEntropy(smoothing=0.0, target_threshold=threshold or None)
    result: Tensor = loss(logits, softened)
    return result
