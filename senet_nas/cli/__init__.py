"""The command line: parses, calls, prints. Results go to stdout, progress and logs to stderr."""

from __future__ import annotations

import errno
import logging
import re
import sys
from typing import NoReturn

import typer

from senet_nas.cli import (  # noqa: F401 (they register their commands)
    comparing,
    gates,
    latencies,
    reporting,
    retraining,
    searches,
    subnets,
    taking_home,
    training,
    weights,
)
from senet_nas.cli.app import app

# What a path may be that a user gave: not theirs to read or write, or no path at all.
UNREACHABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
ASSIGNMENT = re.compile(r"[a-z_][a-z_0-9.]*=")
INTERRUPTED = "interrupted; what was finished is kept, and resuming goes on from there"


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit status 2."""
    from search_space.errors import FULL, InputError, RunError

    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    sys.argv[1:] = _each_set(sys.argv[1:])
    try:
        status = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail(INTERRUPTED, 130)
    except RunError as error:
        _fail(str(error), 1)
    except OSError as error:
        if error.errno in FULL:
            _fail(": ".join(filter(None, (error.filename, error.strerror))), 1)
        if error.errno not in UNREACHABLE or error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}", 2)
    except Exception as error:
        # A mistake in the command line; typer's own class for it has no public name.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message(), 2)
    if status == 130:  # typer turns an interrupt into this
        _fail(INTERRUPTED, 130)
    sys.exit(status if isinstance(status, int) else 0)


def _each_set(arguments: list[str]) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`: no command has another use for such words."""
    found: list[str] = []
    for word in arguments:
        follows = len(found) > 1 and found[-2] == "--set" and ASSIGNMENT.match(word)
        found += ["--set", word] if follows else [word]
    return found


def _fail(message: str, status: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
