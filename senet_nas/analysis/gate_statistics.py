"""What the gates of one SE block do over many images, from running sums: nothing is kept of an
image (arXiv 1709.01507, section 7.2, figures 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from senet_nas.nn.squeeze_excitation import SqueezeExcitation

MARGIN = 0.05  # of an excitation's range: so near to an end a gate is saturated
RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


@dataclass(frozen=True)
class GateStatistics:
    """mean: of each channel. class_mean, class_deviation: of each class (that was seen) and
    channel, over its images. Where there is no squeeze, a gate is its mean over H x W here.

    by_channel, by_class, by_image: shares of the gates' variance, which add up to 1: between
    channels, between the classes of a channel, between the images of a class. by_place: the
    variance within an image, over H x W, as a share of the whole; 0 with a squeeze.
    low, high: shares of gates near the ends of the excitation's range; for relu low counts zeros.
    """

    mean: list[float]
    class_mean: list[list[float]]
    class_deviation: list[list[float]]
    classes: list[int]
    by_channel: float
    by_class: float
    by_image: float
    by_place: float
    low: float
    high: float

    @property
    def on_the_image(self) -> float:
        """How far gates depend on the image at all, its class included, as a standard deviation
        in units of the excitation's."""
        return self.by_class + self.by_image


class GateSums:
    """Sums over images, by class and channel, in float64 on the CPU."""

    def __init__(self, se: SqueezeExcitation, classes: int) -> None:
        channels = se.expand.out_features
        self.se = se
        self.count = torch.zeros(classes, dtype=torch.float64)
        self.first = torch.zeros(classes, channels, dtype=torch.float64)
        self.second = torch.zeros(classes, channels, dtype=torch.float64)
        self.within = 0.0  # sum of variances over H x W, over images and channels
        self.low = self.high = self.gates = 0.0

    def add(self, gates: Tensor, labels: Tensor) -> None:
        """gates: (N, C, 1, 1), or (N, C, H, W) without a squeeze. labels: (N,)."""
        gates = gates.detach().double().cpu()
        labels = labels.cpu()
        means = gates.mean((2, 3))
        self.within += float((gates - means[..., None, None]).square().mean((2, 3)).sum())
        self.count.index_add_(0, labels, torch.ones(len(labels), dtype=torch.float64))
        self.first.index_add_(0, labels, means)
        self.second.index_add_(0, labels, means.square())
        low, high = self._ends()
        self.low += float((gates <= low).sum())
        self.high += float((gates >= high).sum())
        self.gates += gates.numel()

    def _ends(self) -> tuple[float, float]:
        value = self.se.value
        if value.excitation not in RANGES:
            return 0.0, float("inf")
        least, most = RANGES[value.excitation]
        if value.neutral:  # scaled or moved so that zero gives one
            least, most = (0.0, 2.0)
        margin = MARGIN * (most - least)
        return least + margin, most - margin

    def statistics(self) -> GateStatistics:
        """What the sums say. At least one image must have been added."""
        seen = self.count.nonzero()[:, 0]
        count = self.count[seen][:, None]
        images = count.sum()
        mean = self.first[seen] / count
        variance = (self.second[seen] / count - mean.square()).clamp_min(0)
        channel = self.first.sum(0) / images
        between_channels = float((channel - channel.mean()).square().mean())
        between_classes = float((count * (mean - channel).square()).sum(0).div(images).mean())
        between_images = float((count * variance).sum(0).div(images).mean())
        total = between_channels + between_classes + between_images
        places = self.within / float(images) / len(channel)
        whole = total or 1.0
        return GateStatistics(
            mean=channel.tolist(),
            class_mean=mean.tolist(),
            class_deviation=variance.sqrt().tolist(),
            classes=seen.tolist(),
            by_channel=between_channels / whole,
            by_class=between_classes / whole,
            by_image=between_images / whole,
            by_place=places / (total + places or 1.0),
            low=self.low / self.gates,
            high=self.high / self.gates,
        )


def rounded(value: Any, digits: int = 5) -> Any:
    """Numbers in lists, short enough for a file that is read."""
    if isinstance(value, float):
        return round(value, digits)
    return [rounded(item, digits) for item in value] if isinstance(value, list) else value
