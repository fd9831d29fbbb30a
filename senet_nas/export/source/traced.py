"""What a module computes, as torch.fx sees it when it runs, as Python source."""

from __future__ import annotations

import operator
import textwrap
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx.graph import _get_qualified_name  # type: ignore[attr-defined]

from search_space import InputError
from senet_nas.export.source.text import Call, Name, written

INLINED = 60  # characters up to which a value that is read once stands where it is read
MARGIN = 8  # of a line in a method

BINARY = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
}


class _ChildrenAreLeaves(fx.Tracer):
    """Traces one module alone."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def traced(module: nn.Module, needless: Collection[str] = ()) -> str:
    """A module's `forward`, with each of its children as one call, but for the needless ones.

    Raises `InputError` for what tracing can't follow, and for what isn't torch's.
    """
    kind = f"{type(module).__module__}.{type(module).__qualname__}"
    try:
        graph = _ChildrenAreLeaves().trace(module)
        lines = list(_statements(graph, needless))
    except (fx.proxy.TraceError, TypeError, NotImplementedError) as error:
        raise InputError(f"{kind} can't be written as source: {error}") from None
    inputs = [node.name for node in graph.nodes if node.op == "placeholder"]
    body = textwrap.indent("\n".join(lines), "    ")
    arguments = ", ".join(["self", *(f"{name}: Tensor" for name in inputs)])
    return f"def forward({arguments}) -> Tensor:\n{body}"


def _statements(graph: fx.Graph, needless: Collection[str]) -> Iterator[str]:
    """A line for each value that is read more than once or is long, and the last."""
    known: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            known[node] = Name(node.name)
        elif node.op == "output":
            yield f"return {written(_bare(_value(node.args[0], known)), 0, MARGIN + 7)}"
        elif node.op == "call_module" and node.target in needless:
            known[node] = _value(node.args[0], known)
        elif node.users:
            value = _expression(node, known)
            text = written(_bare(value), 0, MARGIN + len(node.name) + 3)
            returned = [user.op for user in node.users] == ["output"]
            if returned or (_readers(node, needless) == 1 and len(text) <= INLINED):
                known[node] = value
            else:
                yield f"{node.name} = {text}"
                known[node] = Name(node.name)


def _readers(node: fx.Node, needless: Collection[str]) -> int:
    """How often a value is read, identities left out."""
    return sum(
        _readers(user, needless)
        if user.op == "call_module" and user.target in needless
        else user.all_input_nodes.count(node)
        for user in node.users
    )


def _bare(value: Any) -> Any:
    """Without the parentheses around an operation."""
    return Name(value.text[1:-1]) if isinstance(value, _Operation) else value


class _Operation(Name):
    """An expression in parentheses."""


def _expression(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    if node.target is operator.getitem:
        of, index = node.args
        return Name(f"{_text(_value(of, known))}[{_index(index, known)}]")
    arguments = [_value(argument, known) for argument in node.args]
    keywords = tuple((key, _value(value, known)) for key, value in node.kwargs.items())
    if node.op == "get_attr":
        return Name(_child(str(node.target)))
    if node.op == "call_function":
        return _function(node.target, arguments, keywords)
    inside = tuple(map(_bare, arguments))
    if node.op == "call_method":
        return Call(f"{_text(arguments[0])}.{node.target}", inside[1:], keywords)
    return Call(_child(str(node.target)), inside, keywords)


def _function(function: Any, arguments: list[Any], keywords: tuple[tuple[str, Any], ...]) -> Any:
    if function in BINARY:
        return _Operation(f"({f' {BINARY[function]} '.join(map(_text, arguments))})")
    if function is operator.neg:
        return _Operation(f"(-{_text(arguments[0])})")
    if function is getattr:
        return Name(f"{_text(arguments[0])}.{arguments[1]}")
    name = _get_qualified_name(function).replace("torch.nn.functional.", "F.")
    if not name.startswith(("torch.", "F.")):
        raise TypeError(f"{name} is no function of torch")
    return Call(name, tuple(map(_bare, arguments)), keywords)


def _child(target: str) -> str:
    """How a module reads what it holds."""
    path = "self"
    for part in target.split("."):
        path += f"[{part}]" if part.isdecimal() else f".{part}"
    return path


def _value(value: Any, known: dict[fx.Node, Any]) -> Any:
    if isinstance(value, fx.Node):
        return known[value]
    if isinstance(value, tuple | list):
        items = [_value(one, known) for one in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, torch.dtype | torch.memory_format):
        return Name(str(value))
    if isinstance(value, slice | torch.Tensor):
        raise TypeError(f"a {type(value).__name__} as an argument")
    return value


def _text(value: Any) -> str:
    return written(value, 0, -(10**9))


def _index(index: Any, known: dict[fx.Node, Any]) -> str:
    """What stands between brackets."""
    if isinstance(index, tuple):
        return ", ".join(_index(one, known) for one in index)
    if isinstance(index, slice):
        bounds = [index.start, index.stop] + ([index.step] if index.step is not None else [])
        return ":".join("" if b is None else _text(_value(b, known)) for b in bounds)
    return _text(_value(index, known))
