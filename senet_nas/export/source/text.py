"""Python expressions as values, written out in lines of at most 100 characters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 100
INDENT = "    "


@dataclass(frozen=True)
class Call:
    """`function(arguments, keyword=value)`. An argument is a literal, a `Call` or a `Name`."""

    function: str
    arguments: tuple[object, ...] = ()
    keywords: tuple[tuple[str, object], ...] = ()

    def parts(self) -> list[tuple[str, object]]:
        """What stands before each argument's value, and the value."""
        named = [(f"{name}=", value) for name, value in self.keywords]
        return [("", value) for value in self.arguments] + named


@dataclass(frozen=True)
class Name:
    """What stands as it is: a name."""

    text: str


@dataclass(frozen=True)
class Repeated:
    """`*[value for _ in range(times)]`: so many new ones."""

    value: object
    times: int


def written(value: object, indent: int = 0, taken: int = 0) -> str:
    """A value as Python, its further lines indented by so many steps. taken: the characters that
    its first line has beside it."""
    line = _line(value)
    if len(INDENT) * indent + taken + len(line) <= WIDTH:
        return line
    if isinstance(value, Repeated):
        inner = INDENT * (indent + 1)
        head = written(value.value, indent + 1)
        return f"*[\n{inner}{head}\n{inner}{_loop(value)}\n{INDENT * indent}]"
    if isinstance(value, Call) and value.parts():
        before, parts, after = f"{value.function}(", value.parts(), ")"
    elif isinstance(value, tuple | list) and value:
        before, after = ("(", ")") if isinstance(value, tuple) else ("[", "]")
        parts = [("", one) for one in value]
        if all(isinstance(one, str | int | float) for one in value):
            return _filled(before, [_line(one) for one in value], after, indent)
    else:
        return line
    inner = INDENT * (indent + 1)
    lines = [f"{inner}{key}{written(one, indent + 1, len(key) + 1)}," for key, one in parts]
    return f"{before}\n" + "\n".join(lines) + f"\n{INDENT * indent}{after}"


def runs(values: Sequence[object]) -> Iterator[object]:
    """The values, equal ones in a row as one `Repeated`."""
    start = 0
    while start < len(values):
        end = start
        while end < len(values) and values[end] == values[start]:
            end += 1
        yield values[start] if end == start + 1 else Repeated(values[start], end - start)
        start = end


def _filled(before: str, items: list[str], after: str, indent: int) -> str:
    """As many short items on a line as fit."""
    inner, lines = INDENT * (indent + 1), [""]
    for item in items:
        if lines[-1] and len(inner) + len(lines[-1]) + len(item) + 2 > WIDTH:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{item},"
    body = "\n".join(inner + line for line in lines)
    return f"{before}\n{body}\n{INDENT * indent}{after}"


def _loop(value: Repeated) -> str:
    return f"for _ in range({value.times})"


def _line(value: object) -> str:
    for kind, line in LINES.items():
        if isinstance(value, kind):
            return line(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _call(value: Call) -> str:
    return f"{value.function}({', '.join(key + _line(one) for key, one in value.parts())})"


def _tuple(values: tuple[object, ...]) -> str:
    return f"({', '.join(map(_line, values))}{',' if len(values) == 1 else ''})"


def quoted(text: str) -> str:
    """A string literal in double quotes."""
    plain = repr(text)
    if plain.startswith('"'):
        return plain
    return '"' + plain[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


LINES: dict[type, Callable[[Any], str]] = {
    Call: _call,
    Name: lambda name: str(name.text),
    Repeated: lambda repeated: f"*[{_line(repeated.value)} {_loop(repeated)}]",
    tuple: _tuple,
    list: lambda values: f"[{', '.join(map(_line, values))}]",
    str: quoted,
}


def safe_docstring(text: str) -> str:
    """Text as it may stand between triple quotes: printable, and without any that end it."""
    printable = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return printable.replace("\\", "/").replace('"', "'")
