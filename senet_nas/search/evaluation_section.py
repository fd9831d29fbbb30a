"""The section of a run file that says how a candidate is trained and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field

from search_space import InputError, SearchSpace
from senet_nas.data import load_images
from senet_nas.latency import LatencyTable
from senet_nas.search.toml_file import Section, absolute


class EvaluationSection(Section):
    """How a candidate is trained and scored.

    data: a folder or archive; none means the sample that the package carries. image_size: by
    default the space's own, filled in when the run file is read. recipe: a training
    recipe; epochs, batch_size and precision replace its own. latency_table: a file by which
    latency_ms is predicted, in place of measured; latency_fingerprint: of what it held as the run
    began. fraction: the part of the training split that candidates train on. validation: the part
    of the training images that scores them. seed: fixes the split, initial weights and order of
    images, the same for all candidates.
    """

    data: str | None = None
    image_size: int = Field(default=cast(int, None), ge=1)
    recipe: str = "proxy"
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "bf16", "fp32"] | None = None
    latency_table: str | None = None
    latency_fingerprint: str | None = None
    fraction: float = Field(default=1.0, gt=0, le=1)
    validation: float = Field(default=0.2, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, le=2**63 - 1)

    def recipe_overrides(self) -> dict[str, Any]:
        """The recipe's settings that the run file replaces."""
        named = {key: getattr(self, key) for key in ("epochs", "batch_size", "precision")}
        return {key: value for key, value in named.items() if value is not None}

    def resolved(self, space: SearchSpace) -> EvaluationSection:
        """The same with nothing left to where and when it is read."""
        size = self.image_size or space.image_size
        if size is None:  # as large as the images are
            size = load_images(self.data, "train").image_size
        fixed = {
            "image_size": size,
            "data": absolute(self.data),
            "recipe": absolute(self.recipe),
            "latency_table": absolute(self.latency_table),
            "latency_fingerprint": self.latency_fingerprint or self._latency_fingerprint(),
        }
        return self.model_copy(update=fixed)

    def _latency_fingerprint(self) -> str | None:
        """Where the table is there already."""
        path = self.latency_table
        return None if path is None or not Path(path).exists() else table_of(path).fingerprint()

    def open_table(self) -> LatencyTable | None:
        """The run's latency table. Raises `InputError` where its file holds none, or another one
        than when the run began."""
        if self.latency_table is None:
            return None
        table, path = table_of(self.latency_table), self.latency_table
        if self.latency_fingerprint not in (None, table.fingerprint()):
            raise InputError(
                f"evaluation.latency_table: {path} has changed since this run began "
                f"({self.latency_fingerprint}, now {table.fingerprint()}); its latencies can't be "
                "compared"
            )
        return table


def table_of(path: str) -> LatencyTable:
    """Of a file. Raises `InputError` naming the key, too."""
    try:
        return LatencyTable.read(Path(path))
    except InputError as error:
        raise InputError(f"evaluation.latency_table: {error}") from None
