"""The forward pass of one module as Python source: the class's own where it reads nothing but
itself and torch, or else what torch.fx sees when it runs, with the module's children left whole."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import nn

from senet_nas.export.source.traced import traced

IMPORTED = ("torch", "nn", "F", "Tensor")
SCALARS = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Forward:
    """methods: the source of `forward` and of what it calls, indented by nothing. attributes: the
    plain values that it reads from the module, by name. without: children that it doesn't call."""

    methods: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def is_torch(kind: type) -> bool:
    """Whether a class is one of torch's own layers."""
    return kind.__module__.startswith("torch.nn.")


def forward_of(module: nn.Module, needless: Collection[str] = ()) -> Forward:
    """The forward pass of a module whose class isn't torch's.

    needless: children that are the identity, which what is traced is written without. Raises
    `InputError` where it can be written in neither way.
    """
    return _own_source(module) or Forward((traced(module, needless),), without=tuple(needless))


def _own_source(module: nn.Module) -> Forward | None:
    """The class's source, None where it calls or reads what isn't there without this project."""
    methods: dict[str, str] = {}
    attributes: set[str] = set()
    pending = ["forward"]
    while pending:
        name = pending.pop()
        found = _method(module, name)
        if found is None:
            return None
        text, function = found
        methods[name] = text
        for read in _reads_of_self(function):
            value = inspect.getattr_static(type(module), read, None)
            if callable(value) or isinstance(value, staticmethod):
                pending += [read] if read not in methods and not _inherited(module, read) else []
            elif read in module.__dict__ and _is_plain(module.__dict__[read]):
                attributes.add(read)
            elif not _is_tensor_or_child(module, read):
                return None
    return Forward(tuple(methods.values()), tuple(sorted(attributes)))


def _method(module: nn.Module, name: str) -> tuple[str, ast.FunctionDef] | None:
    """A method's source and its tree, None where it reads names of its own module."""
    for kind in type(module).__mro__:
        if name in vars(kind):
            break
    if is_torch(kind):
        return None
    member = vars(kind)[name]
    function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
    try:
        text = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        return None
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef) or not _free_names(tree) <= set(IMPORTED):
        return None
    return text, tree


def _free_names(function: ast.FunctionDef) -> set[str]:
    """Names that a function reads and neither assigns nor has from Python itself."""
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    bound |= {argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)}
    return {n.id for n in names} - bound - (set(dir(builtins)) - {"super"})


def _reads_of_self(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr


def _inherited(module: nn.Module, name: str) -> bool:
    """Whether a method is torch's."""
    return any(is_torch(kind) and name in vars(kind) for kind in type(module).__mro__)


def _is_plain(value: object) -> bool:
    return isinstance(value, SCALARS) or (
        isinstance(value, tuple) and all(isinstance(one, SCALARS) for one in value)
    )


def _is_tensor_or_child(module: nn.Module, name: str) -> bool:
    return any(name in held for held in (module._modules, module._parameters, module._buffers))
