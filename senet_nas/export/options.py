"""A format's own options: the arguments of its `export` after (checkpoint, path, images)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_space.errors import InputError, one_of
from search_space.registry import lookup
from senet_nas.export import FORMATS

SHARED = 3  # checkpoint, path, images


@dataclass(frozen=True)
class Option:
    """name: with underscores. default: it also says what values are: text, numbers or a switch."""

    name: str
    default: bool | int | float | str

    @property
    def flag(self) -> str:
        """As the command line has it."""
        return f"--{self.name.replace('_', '-')}"

    def usage(self) -> str:
        """The flag, and its default where it takes a value."""
        return self.flag if isinstance(self.default, bool) else f"{self.flag} {self.default}"

    def parsed(self, text: str) -> Any:
        """A value from text. Raises `InputError` where it isn't of the default's type."""
        if isinstance(self.default, bool):
            if text.lower() not in ("true", "false"):
                raise InputError(f"{self.flag} must be true or false, not {text!r}")
            return text.lower() == "true"
        try:
            return type(self.default)(text)
        except ValueError:
            kind = "a whole number" if isinstance(self.default, int) else "a number"
            raise InputError(f"{self.flag} must be {kind}, not {text!r}") from None


def options_of(format_name: str) -> dict[str, Option]:
    """The options of a format, by name. Raises `InputError` for an unknown format."""
    function = lookup(FORMATS, format_name, "format").export
    parameters = list(inspect.signature(function).parameters.values())[SHARED:]
    return {one.name: Option(one.name, one.default) for one in parameters}


def checked_options(format_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as given. Raises `InputError` for one that the format doesn't have."""
    known = options_of(format_name)
    for name in given:
        if name not in known:
            raise _unknown(format_name, name, known)
    return dict(given)


def options_from_arguments(format_name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Options as the command line gives them: `--int8 --calibration 64 --gate=0.5`.

    Raises `InputError` for one that the format doesn't have, a value that is missing or of the
    wrong kind, and an argument that belongs to none.
    """
    known = {option.flag: option for option in options_of(format_name).values()}
    found: dict[str, Any] = {}
    remaining = list(arguments)
    while remaining:
        flag, equals, text = remaining.pop(0).partition("=")
        option = known.get(flag)
        if option is None:
            raise _unknown(format_name, flag, known)
        if not equals:
            if isinstance(option.default, bool):
                text = "true"
            elif remaining:
                text = remaining.pop(0)
            else:
                raise InputError(f"{flag} needs a value")
        found[option.name] = option.parsed(text)
    return found


def _unknown(format_name: str, name: str, known: Mapping[str, object]) -> InputError:
    if not known:
        return InputError(f"format {format_name}: there are no options, not {name!r} either")
    return one_of(f"format {format_name}: option", name, known)
