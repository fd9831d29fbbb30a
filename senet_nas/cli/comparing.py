"""The command that holds two networks or two runs against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Classes, ImageSize, Json
from senet_nas.cli.output import print_json


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A network, or a run's folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another of the same kind.")],
    image_size: ImageSize = 224,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """What differs between two networks (names or ARCH.json), or between two runs."""
    from search_space.errors import InputError
    from senet_nas.analysis.difference_shown import print_networks, print_runs

    are_runs = [Path(each).is_dir() for each in (first, second)]
    if any(are_runs) and not all(are_runs):
        run, network = (first, second) if are_runs[0] else (second, first)
        raise InputError(f"{run} is a folder and {network} is none: name two runs or two networks")
    if all(are_runs):
        from senet_nas.analysis.run_difference import run_difference
        from senet_nas.analysis.run_view import RunView
        from senet_nas.search import RunFolder

        runs = [RunView.open(each, RunFolder.open(Path(each))) for each in (first, second)]
        between_runs = run_difference(*runs)
        if as_json:
            print_json(between_runs.to_data())
        else:
            print_runs(between_runs)
        return
    from senet_nas.analysis.difference import network_difference
    from senet_nas.analysis.selection import read_architecture

    networks = [read_architecture(each) for each in (first, second)]
    found = network_difference((first, second), networks[0], networks[1], image_size, classes)
    if as_json:
        print_json(found.to_data())
    else:
        print_networks(found)
