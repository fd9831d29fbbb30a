"""The application that commands register with."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Neural architecture search in which the Squeeze-and-Excitation block is an atom.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
