"""A supernet's mixtures as a differentiable strategy sees them: losses on a batch of each half."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senet_nas.data.batches import Batch
from senet_nas.nn.supernet.mixing import MixedSupernet, Mixture
from senet_nas.nn.supernet.supernet import Supernet
from senet_nas.search.weight_sharing.expected_cost import ExpectedCost, target_loss
from senet_nas.training.precision import autocast


class Relaxed:
    """`RelaxedSupernet`. cost_weight: of the cost's loss beside that of the images.

    clip_norm: the largest norm of the weights' gradient, 0 for no limit. Losses are cross
    entropies, smoothed for the weights.
    """

    def __init__(
        self,
        supernet: Supernet,
        optimiser: torch.optim.Optimizer,
        expected: ExpectedCost | None,
        target: float | None,
        *,
        cost_weight: float = 1.0,
        clip_norm: float = 0.0,
        label_smoothing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.supernet = supernet
        self.mixed = MixedSupernet(supernet)
        self.optimiser = optimiser
        self.expected, self.target, self.cost_weight = expected, target, cost_weight
        self.clip_norm, self.label_smoothing, self.dtype = clip_norm, label_smoothing, dtype
        self.device = next(supernet.parameters()).device
        self._training: Batch | None = None
        self._validation: Batch | None = None
        self.last_loss = 0.0

    def see(self, training: Batch, validation: Batch, rate: float) -> None:
        """The batches of the next step, and the weights' learning rate."""
        self._training, self._validation = training, validation
        for settings in self.optimiser.param_groups:
            settings["lr"] = rate

    def training_loss(
        self, mixture: Sequence[Tensor], support: Sequence[Sequence[int]] | None = None
    ) -> Tensor:
        """See `RelaxedSupernet`."""
        assert self._training is not None
        loss = self._loss(self._training, mixture, support, self.label_smoothing)
        self.last_loss = float(loss.detach())
        return loss

    def validation_loss(
        self, mixture: Sequence[Tensor], support: Sequence[Sequence[int]] | None = None
    ) -> Tensor:
        """See `RelaxedSupernet`."""
        assert self._validation is not None
        return self._loss(self._validation, mixture, support, 0.0)

    def cost_loss(self, probabilities: Sequence[Tensor]) -> Tensor:
        """See `RelaxedSupernet`."""
        if self.expected is None or self.target is None:
            return torch.zeros(())
        return self.cost_weight * target_loss(self.expected(probabilities), self.target)

    def weights(self) -> list[nn.Parameter]:
        """See `RelaxedSupernet`."""
        return list(self.supernet.parameters())

    def update_weights(self, loss: Tensor) -> None:
        """See `RelaxedSupernet`."""
        weights = self.weights()
        self.optimiser.zero_grad(set_to_none=True)
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        norm = torch.stack([g.norm() for g in found if g is not None]).norm()
        if not torch.isfinite(norm):
            raise FloatingPointError("the gradient of the weights is not finite")
        scale = min(1.0, self.clip_norm / (float(norm) + 1e-12)) if self.clip_norm else 1.0
        for weight, gradient in zip(weights, found, strict=True):
            weight.grad = None if gradient is None else gradient * scale
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    @property
    def weights_rate(self) -> float:
        """See `RelaxedSupernet`."""
        return float(self.optimiser.param_groups[0]["lr"])

    def _loss(
        self,
        batch: Batch,
        mixture: Sequence[Tensor],
        support: Sequence[Sequence[int]] | None,
        smoothing: float,
    ) -> Tensor:
        logits = self.logits(batch.images, mixture, support)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
        if not torch.isfinite(loss):
            raise FloatingPointError("the loss is not finite")
        return loss

    def logits(
        self,
        images: Tensor,
        mixture: Sequence[Tensor],
        support: Sequence[Sequence[int]] | None = None,
    ) -> Tensor:
        """(N, classes), of the mixture."""
        weights = [weight.to(self.device) for weight in mixture]
        with autocast(self.dtype, self.device):
            logits: Tensor = self.mixed(images, Mixture(weights, support)).float()
        return logits
