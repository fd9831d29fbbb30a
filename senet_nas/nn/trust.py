"""Whose code may run to build a network that a file names."""

from __future__ import annotations

import os
import re

from search_space import Blueprint, InputError, Retrofit

TRUST_VARIABLE = "SENET_NAS_TRUST"
LIBRARIES = ("timm", "torchvision")


def check_trusted(blueprint: Blueprint) -> None:
    """Raise `InputError` where a value that was read from a file names a function to call, and
    the user hasn't said in SENET_NAS_TRUST (several separated by commas) that it may be."""
    if not isinstance(blueprint, Retrofit):
        return
    if blueprint.source.partition(":")[0] in LIBRARIES:
        return
    if blueprint.source not in re.split(r"[,\s]+", os.environ.get(TRUST_VARIABLE, "")):
        raise InputError(
            f"it calls {blueprint.source} to build its network; if that is your code, set "
            f"{TRUST_VARIABLE}={blueprint.source}"
        )
