"""Where this project keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """`senet-nas` in the user's XDG cache folder. As its specification says a path that isn't
    absolute doesn't count: to each process it would be another folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "senet-nas"
