"""What a candidate of a search stands for: an architecture of ours, or a retrofitted network."""

from __future__ import annotations

import json

from search_space.errors import InputError
from search_space.retrofit import Retrofit
from search_space.values import Architecture

Blueprint = Architecture | Retrofit


def blueprint_from_json(text: str) -> Blueprint:
    """The value whose `to_json` wrote this. Raises `InputError` naming the key at fault."""
    try:
        data = json.loads(text)
    except ValueError as error:  # no JSON, or more digits than Python reads
        raise InputError(f"not JSON: {error}") from None
    if isinstance(data, dict) and "retrofit" in data:
        return Retrofit.from_json(text)
    return Architecture.from_json(text)
