"""The variants of a network that an ablation compares (arXiv 1709.01507, section 6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_space import Architecture, InputError, published

FIRST_STAGE = 2  # in the paper's numbering: the stem is stage 1


@dataclass(frozen=True)
class Changes:
    """se: False takes SE away; a mapping replaces these fields of every SE that is there; None
    leaves it. stages: those that keep their SE, in the paper's numbering, in which the stem is
    stage 1; None for all. block: settings of every block of the stages."""

    se: Any = None
    stages: tuple[int, ...] | None = None
    block: Mapping[str, Any] = field(default_factory=dict)

    def over(self, other: Changes) -> Changes:
        """Both at once; where both change the same, this one counts."""
        se = self.se
        if se is None or (isinstance(se, dict) and isinstance(other.se, dict)):
            se = other.se if se is None else {**other.se, **se}
        stages = other.stages if self.stages is None else self.stages
        return Changes(se, stages, {**other.block, **self.block})


def network_of(text: str) -> Architecture:
    """A network by published name, or from its own JSON in a file. Raises `InputError`."""
    if not text.endswith(".json"):
        return published(text)
    try:
        return Architecture.from_json(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{text}: {error.strerror}") from None
    except (InputError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{text}: {error}") from None


def changed(architecture: Architecture, *changes: Changes) -> Architecture:
    """The network with these changes, later ones over earlier ones.

    Raises `InputError` for fields and values that SE or a block don't have, for stages that the
    network doesn't have, and where it has no SE to change.
    """
    merged = Changes()
    for change in changes:
        merged = change.over(merged)
    data = json.loads(architecture.to_json())
    _change_blocks(data["stages"], merged.block)
    _keep_se(data, merged.stages)
    _change_se(data, merged.se, merged.stages)
    try:
        text = json.dumps(data)
    except TypeError as error:  # TOML's dates
        raise InputError(f"se and block: {error}") from None
    return Architecture.from_json(text)


def _change_blocks(stages: list[list[dict[str, Any]]], settings: Mapping[str, Any]) -> None:
    if "se" in settings:
        raise InputError("block: write settings of SE as se.field")
    for block in (block for stage in stages for block in stage):
        block.update(settings)


def _keep_se(data: Mapping[str, Any], stages: tuple[int, ...] | None) -> None:
    if stages is None:
        return
    last = FIRST_STAGE + len(data["stages"]) - 1
    for number in stages:
        if not FIRST_STAGE <= number <= last:
            raise InputError(f"stages: {number} is none of the network's, {FIRST_STAGE} to {last}")
    kept = [data["stages"][number - FIRST_STAGE] for number in stages]
    for blocks in (data["stem"], *data["stages"], data["head"]["blocks"]):
        if not any(blocks is stage for stage in kept):
            for block in blocks:
                block.pop("se", None)


def _change_se(data: Mapping[str, Any], se: Any, stages: tuple[int, ...] | None) -> None:
    groups = (data["stem"], *data["stages"], data["head"]["blocks"])
    with_se = [block for blocks in groups for block in blocks if "se" in block]
    if se is False:
        for block in with_se:
            del block["se"]
    elif not with_se and (se or stages is not None):
        raise InputError("the network has no SE there to change; name one that has (se_…)")
    else:
        for block in with_se:
            block["se"].update(se or {})
