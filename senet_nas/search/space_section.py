"""Which space a run searches: one by name, the SE of a published network, or a user's network."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import Field

from search_space import InputError, SearchSpace, around_published, load
from senet_nas.search.toml_file import Section

KINDS = ("name", "published", "retrofit")


class SpaceSection(Section):
    """One of name (a search space), published (a network of that name, whose SE is searched) or
    retrofit (a network of somebody else's, into which SE is put: `timm:NAME`,
    `torchvision:NAME` or `package.module:function`).

    se: for the last two, options at each place by SE's field, such as r = [4, 16]. where: kinds
    of places in a retrofitted network, or names and patterns of modules. weights: what it starts
    from: `pretrained`, `random` or a file. mean, std: of each channel, 0 to 1, the normalisation
    that they expect. fingerprint: of the decisions, as the run began with them.
    """

    name: str | None = None
    published: str | None = None
    retrofit: str | None = None
    se: dict[str, Any] = Field(default={})
    where: list[str] | None = None
    weights: str | None = None
    mean: list[float] | None = Field(default=None, min_length=3, max_length=3)
    std: list[float] | None = Field(default=None, min_length=3, max_length=3)
    fingerprint: str | None = None

    def open(self) -> SearchSpace:
        """The space. Raises `InputError` for what isn't known or doesn't go together."""
        kind = self._kind()
        retrofit = ("se", "where", "weights", "mean", "std")
        allowed = {"name": (), "published": ("se",), "retrofit": retrofit}
        for key in retrofit:
            if getattr(self, key) and key not in allowed[kind]:
                goes_with = " or ".join(k for k in KINDS if key in allowed[k])
                raise InputError(f"space.{key} goes with space.{goes_with}, not space.{kind}")
        where = None if self.where is None else tuple(self.where)
        try:
            se = json.dumps(self.se)
        except TypeError as error:  # TOML's dates
            raise InputError(f"space.se: {error}") from None
        return _open(kind, getattr(self, kind), se, where)

    @property
    def has_base(self) -> bool:
        """Whether the space is that of SE in one network."""
        return self._kind() != "name"

    def label(self) -> str:
        """The space in a few words: `cifar_mobile`, `published:resnet50`."""
        kind = self._kind()
        text = str(getattr(self, kind))
        return text if kind == "name" else f"{kind}:{text}"

    def _kind(self) -> str:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise InputError(f"space: give one of {', '.join(KINDS)}, not {found}")
        return given[0]


@lru_cache(8)  # a retrofitted network takes a second to look through
def _open(kind: str, text: str, se: str, where: tuple[str, ...] | None) -> SearchSpace:
    if kind == "name":
        return load(text)
    options = json.loads(se)
    if kind == "published":
        return around_published(text, options)
    from senet_nas.nn.foreign.retrofitted import source_space

    try:
        return replace(source_space(text, options, where), name=f"retrofit:{text}")
    except InputError as error:
        raise InputError(f"space.retrofit: {error}") from None
