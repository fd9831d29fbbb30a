"""Where tables are printed: names of a user's own, such as `net[v2]`, stand as they are."""

from __future__ import annotations

from rich.console import Console


def plain_console() -> Console:
    """Standard output, without rich's markup and names of emoji, which would take parts of a name
    for theirs."""
    return Console(markup=False, emoji=False)
