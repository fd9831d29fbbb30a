"""A trained supernet in one safetensors file: the shared weights, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search_space import SearchSpace
from search_space.errors import InputError
from search_space.space import option_label
from senet_nas.data import RGB
from senet_nas.nn.supernet import Supernet
from senet_nas.training.checkpoint import load_tensors, rgb, save_tensors

KIND = "supernet"
_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class SupernetCheckpoint:
    """weights: of `Supernet`. space: its label; fingerprint, decisions (name, labels of options):
    of its space. classes, mean, std, image_size: as of any checkpoint. split: which images it
    learned from. training: strategy, settings, recipe, seed, epochs. seconds: that it took;
    device_seconds: times the GPUs, or else the CPUs, that it took. skipped: steps whose loss
    wasn't finite."""

    weights: Mapping[str, Tensor]
    space: str
    fingerprint: str
    decisions: tuple[tuple[str, tuple[str, ...]], ...]
    classes: tuple[str, ...]
    mean: RGB
    std: RGB
    image_size: int
    split: Mapping[str, Any]
    training: Mapping[str, Any]
    seconds: float
    device_seconds: float
    skipped: int = 0

    def save(self, path: Path) -> None:
        """Write it by way of a temporary file."""
        about = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del about["weights"]
        about |= {"format": _FORMAT, "kind": KIND}
        save_tensors(path, self.weights, about)

    @classmethod
    def load(cls, path: Path) -> SupernetCheckpoint:
        """Raises `InputError` naming a file that is missing, damaged, or something else."""
        weights, about = load_tensors(path, KIND)
        try:
            if about.pop("kind") != KIND or about.pop("format") != _FORMAT:
                raise InputError(f"{path}: not a supernet of senet-nas")
            about["mean"], about["std"] = rgb(about["mean"]), rgb(about["std"])
            about["classes"] = tuple(about["classes"])
            about["decisions"] = tuple((name, tuple(o)) for name, o in about["decisions"])
            return cls(weights, **about)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: not a supernet of senet-nas: {error}") from None

    def check_space(self, space: SearchSpace, where: str) -> None:
        """Raise `InputError` naming the decisions that differ where the space isn't this one's."""
        if self.fingerprint == space.fingerprint():
            return
        ours, theirs = dict(self.decisions), dict(decisions_of(space))
        lost = [name for name in ours if name not in theirs]
        new = [name for name in theirs if name not in ours]
        changed = [name for name in ours if name in theirs and ours[name] != theirs[name]]
        parts = [
            f"{what} {_few(names)}"
            for what, names in (("only there:", lost), ("only here:", new), ("differ:", changed))
            if names
        ]
        differs = "; ".join(parts) or "the same decisions build other networks"
        raise InputError(
            f"{where}: a supernet of another space, {self.space!r} ({self.fingerprint}, not "
            f"{space.fingerprint()}): decisions {differs}"
        )

    def check_weights(self, space: SearchSpace, where: str) -> None:
        """Raise `InputError` where the space's networks need other weights: spaces around two
        published networks may have the same decisions."""
        with torch.device("meta"):
            wanted = Supernet(space, len(self.classes)).state_dict()
        for name in sorted(wanted.keys() | self.weights.keys()):
            shapes = [tuple(t[name].shape) if name in t else None for t in (self.weights, wanted)]
            if shapes[0] != shapes[1]:
                raise InputError(
                    f"{where}: a supernet of other networks, {self.space!r}, though by the same "
                    f"decisions: {name} is {shapes[0] or 'lacking'} there, and "
                    f"{shapes[1] or 'lacking'} in {space.name!r}"
                )

    def supernet(self, space: SearchSpace) -> Supernet:
        """The supernet with these weights, in evaluation mode, on the CPU."""
        with torch.random.fork_rng(devices=[]):
            supernet = Supernet(space, len(self.classes))
        try:
            supernet.load_state_dict(self.weights)
        except RuntimeError as error:
            problem = " ".join(str(error).split())[:300]
            raise InputError(f"a supernet's weights don't fit its space: {problem}") from None
        return supernet.eval()


def decisions_of(space: SearchSpace) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Names and options, as text, to tell spaces apart by."""
    return tuple(
        (decision.name, tuple(option_label(option) for option in decision.options))
        for decision in space.decisions
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
