"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Split(Enum):
    """Which images of a set."""

    test = "test"
    train = "train"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Data = Annotated[
    str | None,
    typer.Option("--data", help="A folder or archive of images, or `cifar10` to download it."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting; may be repeated."),
]
ImageSize = Annotated[int, typer.Option(min=1, help="Side of the square image, in pixels.")]
Classes = Annotated[int, typer.Option(min=1, max=2**31 - 1, help="Number of classes.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; what is there, else.")]
DecodeWorkers = Annotated[
    int | None,
    typer.Option(min=0, help="Processes that decode large images, for each worker; by the cores."),
]
