"""Letting a network of a supernet learn alone for a little before it is scored.

Shared weights serve all networks at once, and none of them best; after a part of an epoch alone
what a network can do by itself begins to show (docs/supernets.md has what that was worth).
"""

from __future__ import annotations

import math
from dataclasses import replace

from senet_nas.data import RGB, ImageSet, training_subset
from senet_nas.nn import Network
from senet_nas.training import Recipe, train


class Tuning:
    """Trains networks by a supernet's recipe, from its peak rate down along its schedule, without
    warm-up: each on the same images in the same order.

    images: all that may be learned from. epochs: over them, a fraction allowed; 0.5 is one pass
    over half of the images, 1.5 are two over three quarters. precision: as of `Recipe`, in place of
    its own. seed: of which images, and of their order.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: ImageSet,
        epochs: float,
        *,
        precision: str,
        seed: int,
        mean: RGB,
        std: RGB,
        device: str,
    ) -> None:
        passes = math.ceil(epochs)
        changed = recipe.shortened(passes, {}) | {"epochs": passes, "warmup_epochs": 0.0}
        self.recipe = replace(recipe, **changed, precision=precision)
        if epochs < passes:
            images = images.subset(training_subset(images.labels, epochs / passes, seed))
        self.images, self.seed = images, seed
        self.mean, self.std, self.device = mean, std, device

    def __call__(self, network: Network) -> Network:
        """The network itself, in evaluation mode. Raises `NonFiniteLossError`."""
        train(
            network.train(),
            self.images,
            self.recipe,
            seed=self.seed,
            device=self.device,
            mean=self.mean,
            std=self.std,
        )
        return network.eval()
