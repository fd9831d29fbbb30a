"""Parts of many images resized to one size at once, as two products with matrices of weights.

The weights are those of Pillow's and torch's antialiased interpolation: a triangle, or the cubic of
Keys (1981) with a = -0.5, stretched where the image becomes smaller.
"""

from __future__ import annotations

import torch
from torch import Tensor

_REACH = {"bilinear": 1.0, "bicubic": 2.0}


def resized_parts(
    images: Tensor, boxes: Tensor, flips: Tensor, size: int, interpolation: str
) -> Tensor:
    """uint8 (B, size, size, 3) of uint8 (B, H, W, 3).

    boxes: int64 (B, 4), top, left, height, width of the part. flips: bool (B,), which to mirror
    left to right. All tensors are on one device.
    """
    height, width = images.shape[1:3]
    rows = _weights(boxes[:, 0], boxes[:, 2], height, size, interpolation)
    columns = _weights(boxes[:, 1], boxes[:, 3], width, size, interpolation)
    columns = torch.where(flips[:, None, None], columns.flip(1), columns)
    channels = images.permute(0, 3, 1, 2).float()
    resized = rows[:, None] @ (channels @ columns[:, None].transpose(2, 3))
    return resized.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _weights(start: Tensor, length: Tensor, whole: int, size: int, interpolation: str) -> Tensor:
    """(B, size, whole): how much each pixel of a line counts in each resized one."""
    device, scale = start.device, (length / size)[:, None, None]
    stretch, reach = scale.clamp(min=1), _REACH[interpolation]
    centres = (torch.arange(size, device=device) + 0.5)[None, :, None] * scale
    pixels = torch.arange(whole, device=device) - start[:, None]
    inside = (pixels >= 0) & (pixels < length[:, None])
    distance = ((pixels[:, None] + 0.5 - centres) / stretch).abs()
    weights = _triangle(distance) if reach == 1 else _cubic(distance)
    weights = weights * inside[:, None]
    return weights / weights.sum(2, keepdim=True)


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp_(min=0)


def _cubic(distance: Tensor) -> Tensor:
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
