"""Commands about runs and spaces: search, resume, front, places, proxies, space, cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from senet_nas.cli.app import app
from senet_nas.cli.options import Classes, Data, ImageSize, Json, Sets
from senet_nas.cli.output import (
    conclude,
    counted_progress,
    print_json,
    search_progress,
    show_values,
)


@app.command()
def search(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run's definition.")],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder, new.")] = None,
    sets: Sets = None,
    go_on: Annotated[
        bool, typer.Option("--resume", help="Go on where the folder holds a run already.")
    ] = False,
    supernet: Annotated[
        Path | None,
        typer.Option(metavar="CHECKPOINT", help="Score candidates in a trained supernet."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate the time it takes, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search for networks: a new run."""
    from senet_nas.search import load_run_file, resume
    from senet_nas.search import search as run_search

    run = load_run_file(run_file, sets or [], data, supernet)
    folder_path = out or Path("runs/out") / run_file.stem
    if dry_run:
        from senet_nas.search.estimate import estimate

        expected = estimate(run).to_data()
        show_values(f"{run_file}: what it would take", expected, as_json)
        return
    with search_progress() as progress:
        if go_on and (folder_path / "run.toml").is_file():
            folder = resume(folder_path, progress, like=run)
        else:
            folder = run_search(run, folder_path, progress)
    conclude(folder, as_json)


@app.command()
def resume(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Go on with a search where it stopped; --set changes its budget or resources."""
    from senet_nas.search import resume as run_resume

    with search_progress() as progress:
        folder = run_resume(directory, progress, sets or [])
    conclude(folder, as_json)


@app.command()
def watch(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    once: Annotated[bool, typer.Option("--once", help="One look, and no more.")] = False,
    as_json: Json = False,
) -> None:
    """A search while it runs: its front, its workers, the time that is left."""
    from rich.console import Console

    from senet_nas.analysis import watching
    from senet_nas.search import RunFolder

    folder = RunFolder.open(directory)
    if as_json:
        print_json(watching.look(folder).to_data())
    elif once or not sys.stdout.isatty():
        Console().print(watching.shown(str(directory), watching.look(folder)))
    else:
        watching.watch(folder, str(directory))


@app.command()
def front(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Runs' folders.")],
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Two or three of accuracy, macs, params, activations, latency; the run's, else.",
        ),
    ] = None,
    random: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A run of random search, to hold them against."),
    ] = None,
    train_null: Annotated[
        bool,
        typer.Option("--train-null", help="Train the null models first, as the run's trials."),
    ] = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw them, too: a file ending in .svg, .png or .pdf.")
    ] = None,
) -> None:
    """The non-dominated trials of runs, their hypervolume, and their null models."""
    from search_space.errors import InputError
    from senet_nas.analysis.fronts import (
        fronts_to_csv,
        fronts_to_data,
        load_fronts,
        open_runs,
        train_nulls,
    )
    from senet_nas.analysis.fronts_shown import print_fronts
    from senet_nas.analysis.picture import draw_fronts

    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other")
    with counted_progress("costs") as advance:
        views, against = open_runs(directories, random, axes, advance)
    fronts = load_fronts(views, against)
    if train_null:
        with counted_progress("null models") as advance:
            train_nulls(fronts, advance)
        fronts = load_fronts(views, against)
    if picture is not None:
        draw_fronts(fronts, picture)
    if as_json:
        print_json(fronts_to_data(fronts))
    elif as_csv:
        sys.stdout.write(fronts_to_csv(fronts))
    else:
        print_fronts(fronts)


@app.command()
def space(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    image_size: Annotated[int | None, typer.Option(min=1, help="For the range of cost.")] = None,
    classes: Classes = 10,
    samples: Annotated[int, typer.Option(min=1, help="Networks drawn for the range.")] = 50,
    as_json: Json = False,
) -> None:
    """A search space: its decisions, its size, the range of cost."""
    from senet_nas.analysis import show

    described = show.space_to_data(name, image_size, classes, samples)
    if as_json:
        print_json(described)
    else:
        show.print_space(described)


@app.command()
def places(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    as_json: Json = False,
) -> None:
    """Where SE pays in one network, by a run over its places."""
    from senet_nas.analysis import show
    from senet_nas.analysis.places import places_of
    from senet_nas.search import RunFolder

    found = places_of(RunFolder.open(directory))
    if as_json:
        print_json(found.to_data())
    else:
        show.print_places(str(directory), found)


@app.command()
def proxies(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    names: Annotated[
        list[str] | None, typer.Option("--name", help="A proxy; may be repeated. All, else.")
    ] = None,
    data: Data = None,
    images: Annotated[int, typer.Option(min=4, help="How many each network is shown.")] = 64,
    as_json: Json = False,
) -> None:
    """How well zero-cost proxies rank what a run has trained."""
    from senet_nas.analysis.proxy_trust import print_trust, proxy_trust
    from senet_nas.search import RunFolder

    folder = RunFolder.open(directory)
    with counted_progress("proxies") as advance:
        trust = proxy_trust(folder, names or (), data=data, images=images, on_network=advance)
    if as_json:
        print_json(trust.to_data())
    else:
        print_trust(str(directory), trust)


@app.command()
def cost(
    network: Annotated[str, typer.Argument(metavar="NAME|ARCH.json")],
    image_size: ImageSize = 224,
    classes: Classes = 1000,
    latency: Annotated[bool, typer.Option("--latency", help="Measure it on this CPU.")] = False,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Parameters, MACs and activations of a network; --set se.r=8 changes all of its SE."""
    from senet_nas.analysis.selection import read_architecture, with_se
    from senet_nas.analysis.show import cost_to_data

    architecture = with_se(read_architecture(network), sets or [])
    costs = cost_to_data(architecture, image_size, classes, latency)
    show_values(f"{network}, {image_size}x{image_size}, {classes} classes", costs, as_json)
