"""Weights that training begins with instead of random ones: those of a trained network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

from search_space import InputError
from senet_nas.data import RGB
from senet_nas.training.checkpoint import Checkpoint, load_tensors, rgb, save_tensors


@dataclass(frozen=True, eq=False)
class Start:
    """weights: parameters and buffers by name. mean, std: the normalisation that they expect, of
    each channel from 0 to 1. classes: what they were taught, in the order of the logits; where they
    are given, a classifier can be made for others."""

    weights: Mapping[str, Tensor]
    mean: RGB
    std: RGB
    classes: tuple[str, ...] | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Start:
        """To go on from a trained network, also to other classes."""
        return cls(checkpoint.weights, checkpoint.mean, checkpoint.std, checkpoint.classes)

    def taught(self, classes: tuple[str, ...], build: Callable[[int], nn.Module]) -> Start:
        """What to start from where these are the classes: the classifier keeps what it learned of
        those that it knows by name, and begins anew with the others.

        build: the network for a number of classes, with its initial weights.
        """
        if self.classes is None or self.classes == classes:
            return self
        old, fresh = list(self.classes), build(len(classes)).state_dict()
        other = build(len(classes) + 1).state_dict()
        weights = dict(self.weights)
        for name in fresh:
            if name in weights and fresh[name].shape != other[name].shape:
                rows = fresh[name].clone()
                for row, known in enumerate(classes):
                    if known in self.classes:
                        rows[row] = weights[name][old.index(known)]
                weights[name] = rows
        return Start(weights, self.mean, self.std, classes)

    def into(self, network: nn.Module) -> nn.Module:
        """The network with these weights; parameters that only the network has stay as they are.

        Raises `InputError` where the weights hold what the network doesn't, or in another shape.
        """
        state = network.state_dict()
        for name, tensor in self.weights.items():
            if name not in state:
                raise InputError(f"the weights to start from hold {name}, and the network doesn't")
            if state[name].shape != tensor.shape:
                raise InputError(
                    f"the weights to start from: {name} is {list(tensor.shape)}, and the "
                    f"network's {list(state[name].shape)}"
                )
        network.load_state_dict({**state, **self.weights})
        return network

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of names and values, to tell two starts apart."""
        digest = hashlib.sha256(repr((self.mean, self.std)).encode())
        for name, tensor in sorted(self.weights.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write it by way of a temporary file. Raises `OSError`."""
        save_tensors(path, self.weights, {"mean": self.mean, "std": self.std})

    @classmethod
    def load(cls, path: Path) -> Start:
        """What `save` wrote. Raises `InputError` for a missing or damaged file."""
        weights, about = load_tensors(path, "file of weights to start from")
        try:
            return cls(weights, rgb(about["mean"]), rgb(about["std"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged: {error}") from None
