"""The command line: parses, calls, prints. Results go to stdout, progress and logs to stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from senet_nas.search import RunFolder
    from senet_nas.search.progress import ConsoleProgress

app = typer.Typer(
    help="Neural architecture search in which the Squeeze-and-Excitation block is an atom.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


INTERRUPTED = "interrupted; what was finished is kept, and resuming goes on from there"


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
Classes = Annotated[int, typer.Option(min=1, help="Number of classes.")]


@app.command()
def search(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run's definition.")],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder, new.")] = None,
    sets: Sets = None,
    go_on: Annotated[
        bool, typer.Option("--resume", help="Go on where the folder holds a run already.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate the time it takes, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search for networks: a new run."""
    from senet_nas.search import load_run_file, resume
    from senet_nas.search import search as run_search

    run = load_run_file(run_file, sets or [], data)
    folder_path = out or Path("runs/out") / run_file.stem
    if dry_run:
        from senet_nas.search.estimate import estimate

        expected = estimate(run).to_data()
        _show(f"{run_file}: what it would take", expected, as_json)
        return
    with _progress() as progress:
        if go_on and (folder_path / "run.toml").is_file():
            folder = resume(folder_path, progress, like=run)
        else:
            folder = run_search(run, folder_path, progress)
    _conclude(folder, as_json)


@app.command()
def resume(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Go on with a search where it stopped; --set changes its budget or resources."""
    from senet_nas.search import resume as run_resume

    with _progress() as progress:
        folder = run_resume(directory, progress, sets or [])
    _conclude(folder, as_json)


@app.command()
def front(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Runs' folders.")],
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw them, too: a file ending in .svg, .png or .pdf.")
    ] = None,
) -> None:
    """The non-dominated trials of runs, and their hypervolume."""
    from senet_nas.analysis import show
    from senet_nas.search import RunFolder

    folders = {str(path): RunFolder.open(path) for path in directories}
    fronts = show.load_fronts(folders)
    if picture is not None:
        from senet_nas.analysis.picture import draw_fronts

        draw_fronts(folders, picture)
    if as_json:
        _print_json(show.fronts_to_data(fronts))
    elif as_csv:
        sys.stdout.write(show.fronts_to_csv(fronts))
    else:
        show.print_fronts(fronts)


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
    _show(f"{network}, {image_size}x{image_size}, {classes} classes", costs, as_json)


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
        _print_json(described)
    else:
        show.print_space(described)


@app.command()
def retrain(
    source: Annotated[str, typer.Argument(metavar="DIR|NAME|ARCH.json")],
    recipe: Annotated[str, typer.Option(help="A recipe's name or file.")],
    arch: Annotated[
        str | None, typer.Option(help="Trial number or architecture hash; else the knee.")
    ] = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to; a folder in DIR if not given.")
    ] = None,
    sets: Sets = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images; the run's, or their own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; what is there, else.")] = None,
    as_json: Json = False,
) -> None:
    """Train a point of the front, or any network, in full; goes on where it stopped."""
    from senet_nas.analysis.selection import choose
    from senet_nas.training.progress import retrain_with_progress

    choice = choose(source, arch, data, out, recipe)
    result = retrain_with_progress(
        choice.architecture,
        choice.data,
        recipe,
        sets or [],
        choice.out,
        seed=seed,
        device=device,
        image_size=image_size or choice.image_size,
    )
    _show(f"retrained {choice.label}", result, as_json)
    print(f"written: {choice.out}", file=sys.stderr)


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    data: Annotated[
        str | None, typer.Option("--data", help="A folder or archive; the sample if not given.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.test,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; what is there, else.")] = None,
    as_json: Json = False,
) -> None:
    """Accuracy of a trained network on test images."""
    from senet_nas.training import evaluate_checkpoint, load_checkpoint

    accuracy = evaluate_checkpoint(load_checkpoint(checkpoint), data, split.value, device)
    result = asdict(accuracy)
    _show(f"{checkpoint}, {split.value} images", result, as_json)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    format_name: Annotated[str, typer.Option("--format", help="onnx.")],
    out: Annotated[
        Path | None, typer.Option(help="The file; beside CHECKPOINT if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a trained network in another format, and check it against the network."""
    from senet_nas.export import export as run_export
    from senet_nas.training import load_checkpoint

    default = checkpoint.parent / f"{checkpoint.stem}.{format_name}"
    exported = run_export(load_checkpoint(checkpoint), format_name, out or default).to_data()
    _show("exported and checked", exported, as_json)


def _conclude(folder: RunFolder, as_json: bool) -> None:
    from search_space.errors import RunError
    from senet_nas.analysis import show, write_front

    path = write_front(folder)
    fronts = show.load_fronts({str(folder.path): folder})
    if as_json:
        _print_json(show.fronts_to_data(fronts))
    else:
        show.print_fronts(fronts)
    print(f"written: {folder.trials_file}, {path}", file=sys.stderr)
    if not any(front.points for front in fronts.values()):
        raise RunError(f"no trial of {folder.path} succeeded; {folder.trials_file} says why")


@contextmanager
def _progress() -> Iterator[ConsoleProgress]:
    from senet_nas.search.progress import ConsoleProgress

    progress = ConsoleProgress()
    try:
        yield progress
    finally:
        progress.stop()


def _show(title: str, values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(values)
    else:
        from senet_nas.analysis.show import print_values

        print_values(title, values)


def _print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit status 2."""
    from search_space.errors import InputError, RunError

    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        status = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail(INTERRUPTED, 130)
    except RunError as error:
        _fail(str(error), 1)
    except Exception as error:
        # A mistake in the command line; typer's own class for it has no public name.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message(), 2)
    if status == 130:  # typer turns an interrupt into this
        _fail(INTERRUPTED, 130)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
