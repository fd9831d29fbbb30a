"""Commands that take a network home: export, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from senet_nas.cli.app import app
from senet_nas.cli.options import Json
from senet_nas.cli.output import print_json, show_values

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


class ExportCommand(TyperCommand):
    """Its help ends with the options that each format adds, which are known only when asked for."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """A line a format."""
        from senet_nas.export import format_names
        from senet_nas.export.options import options_of

        options = {name: options_of(name).values() for name in format_names()}
        rows = [(name, " ".join(o.usage() for o in found)) for name, found in options.items()]
        with formatter.section("Options of a format's own"):
            formatter.write_dl(rows)


@app.command(cls=ExportCommand, context_settings=PASSED_ON)
def export(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    format_name: Annotated[
        str, typer.Option("--format", help="onnx, torch, safetensors, python, timm, or one's own.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The file; beside CHECKPOINT if not given.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Images to check with; the carried sample if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a trained network in another format, and check it against the network."""
    from search_space.errors import InputError
    from senet_nas.export import default_path
    from senet_nas.export import export as run_export
    from senet_nas.export.loading import load
    from senet_nas.export.options import options_from_arguments

    path = out or default_path(checkpoint, format_name)
    if path.resolve() == checkpoint.resolve():
        raise InputError(f"{path}: --out would replace the network that is exported")
    options = options_from_arguments(format_name, context.args)
    exported = run_export(load(checkpoint), format_name, path, data, **options)
    show_values("exported and checked", exported.to_data(), as_json)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint, or any export.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG or PNG.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes.")] = 5,
    trust: Annotated[
        bool, typer.Option("--trust", help="FILE may be a program (.py, .pt2), which is then run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """The most probable classes of images, by a checkpoint or an exported network."""
    from senet_nas.export.predicting import predict as run_predict
    from senet_nas.export.predicting import print_predictions

    predictions = run_predict(file, images, top, trusted=trust)
    if as_json:
        data = {"file": str(file), "images": [one.to_data() for one in predictions]}
        print_json(data)
    else:
        print_predictions(predictions)
