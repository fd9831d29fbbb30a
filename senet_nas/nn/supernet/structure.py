"""Variants of a cell that one module can compute under masks, and these masks.

A mixture over widths is a mask over channels (FBNetV2, Wan et al. 2020, arXiv 2004.05565, section
3.1), over kernels one over the taps of the largest (Single-Path NAS, Stamoulis et al. 2019, arXiv
1904.02877, equation 2), over groups one over pairs of channels. Where all the weight lies on one
variant, the masks leave just that variant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from search_space.coverage import Variant
from senet_nas.nn.layers import SubsampledPointwise
from senet_nas.nn.placement import Unit
from senet_nas.nn.supernet.place import SharedPlace, family, meta_unit
from senet_nas.nn.supernet.roles import LAYERS, Layer, part_for, roles, tensors
from senet_nas.nn.supernet.weights import STATISTICS, SharedWeights, bind

# Modules whose behaviour doesn't depend on how wide their input is, besides layers with weights.
WIDTHLESS = (
    nn.Sequential,
    nn.Identity,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
    nn.Hardswish,
    nn.MaxPool2d,
    nn.AvgPool2d,
)

HARDLY = 1e-8


class Structure:
    """Variants at one place with the same modules in the same order, over shared weights.

    numbers: of the variants, in the place's order. widths: of their outputs.
    """

    def __init__(
        self, variants: Mapping[int, Variant], units: Mapping[int, Unit], shared: SharedWeights
    ):
        self.numbers = tuple(variants)
        self.units = tuple(units.values())
        self.variants = tuple(variants.values())
        self._shared = shared
        self._roles = [roles(unit) for unit in self.units]
        self._masked = {
            role: _Sizes([one[role] for one in self._roles], shared.layer(role).depthwise)
            for role in self._roles[0]
        }
        self._masked_later = _masked_later(self.units[0], shared)
        # The narrowest input may need another class of convolution, which does for the others too.
        narrowest = min(self.variants, key=lambda variant: variant.in_channels)
        self.module = meta_unit(narrowest, _eps(self.units[0]))
        self._layers = roles(self.module)

    def use(self, chosen: Sequence[int], weights: Tensor, training: bool) -> Unit:
        """The module for a mixture of the variants at these indices (of `variants`).

        weights: (len(chosen),), which add up to 1.
        """
        for role, layer in self._layers.items():
            sizes = self._masked[role].among(chosen)
            sizes.shape_layer(layer)
            mask_outputs = role not in self._masked_later
            for name in tensors(layer):
                shared = self._shared.layer(role).tensor(name)
                bind(layer, name, sizes.part(name, shared, weights, mask_outputs))
        if self.module.training != training:
            self.module.train(training)
        return self.module


class _Sizes:
    """Of a layer in each of several variants: outputs, inputs, kernel and groups."""

    def __init__(self, layers: Sequence[Layer], depthwise: bool) -> None:
        self.layers = layers
        self.is_conv = isinstance(layers[0], nn.Conv2d)
        self.is_depthwise = depthwise
        self._among: dict[tuple[int, ...], _Sizes] = {}
        sizes = [_sizes(layer) for layer in layers]
        self.outputs, self.inputs, self.kernels, self.groups = (
            torch.tensor(column) for column in zip(*sizes, strict=True)
        )

    def among(self, chosen: Sequence[int]) -> _Sizes:
        """The same of some of the variants."""
        key = tuple(chosen)
        if key not in self._among:
            self._among[key] = _Sizes([self.layers[index] for index in key], self.is_depthwise)
        return self._among[key]

    def shape_layer(self, layer: Layer) -> None:
        """Let a layer compute the largest variant, without groups."""
        if not isinstance(layer, nn.Conv2d):
            return
        largest = self.layers[int(self.kernels.argmax())]
        assert isinstance(largest, nn.Conv2d)
        layer.kernel_size, layer.padding = largest.kernel_size, largest.padding
        layer.groups = int(self.outputs.max()) if self.is_depthwise else 1
        if not self.is_depthwise and len(self.layers) == 1:
            layer.groups = int(self.groups[0])

    def part(self, name: str, shared: Tensor, weights: Tensor, mask_outputs: bool) -> Tensor:
        """The largest variant's part of a shared tensor, under the masks."""
        if not shared.ndim:
            return shared
        if len(self.layers) == 1:
            return part_for(self.layers[0], name, shared, self.is_depthwise)
        most = int(self.outputs.max())
        if name in STATISTICS:
            return shared[:most]
        if shared.ndim == 1:
            part = shared[:most]
            return part * self._output_mask(weights) if mask_outputs else part
        part = shared[:most, : 1 if self.is_depthwise else int(self.inputs.max())]
        if shared.ndim == 4:
            part = self._taps(part, weights)
            if not self.is_depthwise and int(self.groups.max()) > 1:
                part = part * self._pair_mask(weights)[:, :, None, None]
        if mask_outputs:
            part = part * self._output_mask(weights).view(-1, *[1] * (part.ndim - 1))
        return part

    def _output_mask(self, weights: Tensor) -> Tensor:
        """How much of the weight lies on variants that have a channel: (outputs,). Hardly anything
        for none at all: a ReLU gives no gradient at 0, by which such a channel could be wished for.
        """
        mask = survival(self.outputs.to(weights.device), weights)
        return mask + HARDLY * (mask.detach() == 0)

    def _taps(self, part: Tensor, weights: Tensor) -> Tensor:
        most = int(self.kernels.max())
        start = (part.shape[-1] - most) // 2
        part = part[:, :, start : start + most, start : start + most]
        if int(self.kernels.min()) == most:
            return part
        distance = (torch.arange(most) - most // 2).abs().to(weights.device)
        ring = torch.maximum(distance[:, None], distance[None, :])
        share = survival(self.kernels.to(weights.device) // 2 + 1, weights)
        return part * share[ring]

    def _pair_mask(self, weights: Tensor) -> Tensor:
        """Of the weight on variants that have both an output and an input, how much lies on those
        in which the one reads the other; by their number where they have no weight, so that a
        channel that isn't there yet is read as it would be."""
        shape, device = (int(self.outputs.max()), int(self.inputs.max())), weights.device
        rows = torch.arange(shape[0], device=device)[:, None]
        columns = torch.arange(shape[1], device=device)[None, :]
        sizes = zip(self.outputs, self.inputs, self.groups, strict=True)
        distinct: dict[tuple[int, int, int], list[int]] = {}
        for index, (outputs, inputs, groups) in enumerate(sizes):
            key = int(outputs), int(inputs), int(groups)
            distinct.setdefault(key, []).append(index)
        linked, both, linked_count, both_count = (torch.zeros(shape, device=device),) * 4
        for (outputs, inputs, groups), indices in distinct.items():
            there = (rows < outputs) & (columns < inputs)
            same = there & (rows // (outputs // groups) == columns // (inputs // groups))
            weight = weights[indices].sum()
            linked, both = linked + same * weight, both + there * weight
            linked_count = linked_count + same * len(indices)
            both_count = both_count + there * len(indices)
        counted = linked_count / both_count.clamp_min(1)
        return torch.where(both > 0, linked / both.clamp_min(1e-12), counted)


def survival(sizes: Tensor, weights: Tensor) -> Tensor:
    """For each number below the largest size the weight on sizes above it."""
    counted = weights.new_zeros(int(sizes.max()) + 1).index_add(0, sizes, weights)
    return counted.flip(0).cumsum(0).flip(0)[1:]


def _sizes(layer: Layer) -> tuple[int, int, int, int]:
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels, layer.in_channels, layer.kernel_size[0], layer.groups
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features, 1, 1
    return layer.num_features, layer.num_features, 1, 1


def _masked_later(unit: Unit, shared: SharedWeights) -> set[str]:
    """The roles of layers each of whose channels is next read alone, by a layer that masks it: of
    convolutions before a norm, and of norms before a depthwise convolution. One mask will do, and
    a second would leave a channel under a small weight no slope.
    """
    found = set()
    by_layer = {id(layer): role for role, layer in roles(unit).items()}
    for child in unit.children():
        modules = [*child.modules()]
        in_a_row = all(type(m) is nn.Sequential for m in modules if next(m.children(), None))
        layers = [module for module in modules if isinstance(module, LAYERS)]
        for layer, after in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                is_next = after.num_features == layer.out_channels
            else:
                is_next = (
                    in_a_row
                    and isinstance(layer, nn.BatchNorm2d)
                    and isinstance(after, nn.Conv2d)
                    and shared.layer(by_layer[id(after)]).depthwise
                    and after.in_channels == layer.num_features
                )
            if is_next:
                found.add(by_layer[id(layer)])
    return found


def _eps(unit: Unit) -> float:
    return next((m.eps for m in unit.modules() if isinstance(m, nn.BatchNorm2d)), 1e-5)


def structures(
    variants: Sequence[Variant], units: Sequence[Unit], shared: SharedPlace
) -> list[Structure]:
    """The variants of a place, those together that masks can tell apart."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, (variant, unit) in enumerate(zip(variants, units, strict=True)):
        groups.setdefault(_signature(variant, unit), []).append(number)
    return [
        Structure(
            {number: variants[number] for number in numbers},
            {number: units[number] for number in numbers},
            shared.weights(variants[numbers[0]]),
        )
        for numbers in groups.values()
    ]


def _kind(module: nn.Module) -> type:
    """A module's class, of those that compute the same the plain one."""
    return nn.Conv2d if isinstance(module, SubsampledPointwise) else type(module)


def _signature(variant: Variant, unit: Unit) -> tuple[object, ...]:
    """Equal for variants that one module can compute."""
    modules = [(name, _kind(module)) for name, module in unit.named_modules()]
    plain = all(kind in WIDTHLESS or issubclass(kind, LAYERS) for _, kind in modules[1:])
    strides = [
        (m.stride, m.dilation) if isinstance(m, nn.Conv2d) else ()
        for m in unit.modules()
        if isinstance(m, nn.Conv2d)
    ]
    same = (family(variant.block), tuple(modules), tuple(strides), variant.block.stride)
    return same if plain else (*same, variant)
