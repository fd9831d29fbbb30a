"""What commands print: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from senet_nas.search import RunFolder
    from senet_nas.search.progress import ConsoleProgress


def conclude(folder: RunFolder, as_json: bool) -> None:
    """Write and print the front of a search that has ended. Raises `RunError` for an empty one."""
    from search_space.errors import RunError
    from senet_nas.analysis import write_front
    from senet_nas.analysis.fronts import fronts_to_data, load_fronts
    from senet_nas.analysis.fronts_shown import print_fronts
    from senet_nas.analysis.run_view import RunView
    from senet_nas.analysis.supernet_trust import print_trust, supernet_trust

    path = write_front(folder)
    fronts = load_fronts([RunView.open(str(folder.path), folder)])
    trust = supernet_trust(folder)
    if as_json:
        told = {"trust": trust.to_data()} if trust is not None else {}
        print_json(fronts_to_data(fronts) | told)
    else:
        print_fronts(fronts)
        if trust is not None:
            print_trust(trust)
    print(f"written: {folder.trials_file}, {path}", file=sys.stderr)
    if not any(each.front.points for each in fronts):
        raise RunError(f"no trial of {folder.path} succeeded; {folder.trials_file} says why")


def show_values(title: str, values: dict[str, Any], as_json: bool) -> None:
    """A few named values, as a table or as JSON."""
    if as_json:
        print_json(values)
    else:
        from senet_nas.analysis.show import print_values

        print_values(title, values)


def print_json(data: Any) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


@contextmanager
def search_progress() -> Iterator[ConsoleProgress]:
    """A bar on stderr while a search runs."""
    from senet_nas.search.progress import ConsoleProgress

    progress = ConsoleProgress()
    try:
        yield progress
    finally:
        progress.stop()


@contextmanager
def counted_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr in a terminal, for work that says how much of it is done, and of how much."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
